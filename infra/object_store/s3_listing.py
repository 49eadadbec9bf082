"""The keys of a bucket, page by page, complete on servers that keep the order of keys and on those that keep folders."""

from collections.abc import Iterator

from minio import Minio
from minio.datatypes import Object

from infra.object_store.objects import Selection


def iter_objects(client: Minio, bucket: str, selection: Selection) -> Iterator[Object]:
    """What the server tells of objects that may be asked for, a thousand at a time; some come twice, or in vain."""
    for prefix, start_after in plan_requests(selection):
        yield from client.list_objects(bucket, prefix=prefix, recursive=True, start_after=start_after)


def plan_requests(selection: Selection) -> list[tuple[str, str | None]]:
    """(prefix, start_after) of the listings that together hold everything behind `selection.start_after`.

    SeaweedFS goes through folders in the order of their names: it gives everything in "a/" before "a-b/", though
    "/" comes after "-". Asked for what is behind "a", it leaves out "a/x", and behind "a-b/" the whole of "a/". So
    the server is only told the folder to start in, and folders that it takes to be earlier though their keys are
    later are listed by themselves.
    """
    prefix, start_after = selection.prefix, selection.start_after
    if start_after <= prefix:
        return [(prefix, None)]
    if not start_after.startswith(prefix):
        return []
    folder = start_after[: start_after.rfind("/") + 1]
    first = folder if len(folder) > len(prefix) else None
    earlier = [(each, None) for each in _misplaced(folder) if each.startswith(prefix)] if first else []
    return [(prefix, first), *earlier]


def _misplaced(folder: str) -> list[str]:
    """Folders whose keys come after those of the given one, but whose name comes before."""
    found, parent = [], ""
    for name in folder.split("/")[:-1]:
        found += [f"{parent}{name[:end]}/" for end in range(1, len(name)) if name[end] < "/"]
        parent += name + "/"
    return found
