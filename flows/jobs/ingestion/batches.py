"""Which objects under landing/ are batch files, and what else lies there that a person should know of."""

import posixpath
import re
from collections.abc import Iterable, Iterator

from flows.jobs.ingestion.checking import open_pool
from flows.jobs.ingestion.report import PassedOver
from infra.object_store import ObjectInfo, ObjectStore, Selection
from infra.parallel import map_in_order

LANDING_PREFIX = "landing/"
_FORMS = (".jsonl", ".json", ".ndjson", ".jl", ".jsonlines")
BATCH_ENDINGS = tuple(form + packing for form in _FORMS for packing in ("", ".gz", ".zst"))
"""A key that ends so, in capital letters or small ones, is a batch file. What it holds is known by its content."""

_PICTURE = re.compile(
    r"\.(?:jpe?g|jfif|png|gif|webp|bmp|tiff?|heic|heif|avif|svg|mp4|m4v|mov|webm|m3u8)(?:$|[:_?])|[?&]format=\w+",
    re.IGNORECASE,
)
"""Names of images and videos as collectors write them: PHOTO.JPG, GtU9.jpg:large, GtU9?format=jpg&name=large."""


def find_batches(
    store: ObjectStore, passed_over: PassedOver, *, start_after: str = "", keys: Iterable[str] | None = None
) -> list[ObjectInfo]:
    """The batch files under landing/ in the order of their keys; of `keys` those that lie there, without listing.

    Whatever else lies there and is not named like an image or a video is noted in `passed_over`.
    """

    noted: set[str] = set()  # a server may tell of an object twice

    def note(key: str, reason: str) -> None:
        if key not in noted and (reason or not _PICTURE.search(posixpath.basename(key))):
            noted.add(key)
            passed_over.add(key, reason or _explain_ending(key))

    if keys is None:
        found = store.list(LANDING_PREFIX, endings=BATCH_ENDINGS, start_after=start_after, passed_over=note)
    else:
        found = _find_given(store, Selection(LANDING_PREFIX, BATCH_ENDINGS, start_after), keys, passed_over)
    batches: list[ObjectInfo] = []
    for info in found:
        if reason := _explain_hidden(info.key):
            passed_over.add(info.key, reason)
        else:
            batches.append(info)
    return batches


def _find_given(
    store: ObjectStore, selection: Selection, keys: Iterable[str], passed_over: PassedOver
) -> Iterator[ObjectInfo]:
    """Those of the keys that are selected and lie there, in order."""
    wanted = sorted({key for key in keys if selection.takes(key)})
    with open_pool() as pool:
        for key, info in zip(wanted, map_in_order(pool, store.stat, wanted), strict=True):
            if info is not None:
                yield info
            else:
                passed_over.add(key, "the object is gone")


def _explain_hidden(key: str) -> str | None:
    """Why a batch file is not meant to be read; None when it is."""
    *folders, name = key.removeprefix(LANDING_PREFIX).split("/")
    if "__MACOSX" in folders or name.startswith("._"):
        return "left by macOS beside the file itself"
    if name.startswith("."):
        return "a hidden file, as a copy under way is: give it a name without the dot when it is complete"
    return None


def _explain_ending(key: str) -> str:
    name = posixpath.basename(key)
    return _explain_hidden(key) or f"no ending of a batch file ({', '.join(_FORMS)}; also .gz, .zst) in {name[-40:]!r}"
