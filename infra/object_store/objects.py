"""Objects by key: what every store can do, and how a key is written."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from infra.errors import ObjectKeyError

TEMPORARY = ".tmp"
"""First segment of the keys a store keeps for itself: half-written objects and probes, never listed."""

MAX_KEY_BYTES = 1024
"""S3's limit on a key in UTF-8."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it."""

    key: str
    etag: str
    """Changes when the content does; in a folder also when a file is touched or copied (`ObjectStore.identify`). Comparable
    only within one store."""
    size: int
    """Bytes."""
    modified: datetime
    """Timezone-aware, UTC."""


PassOver = Callable[[str, str], None]
"""Told the key of an object that a listing leaves out, and why; "" when only its ending is another one."""


class ObjectStore(Protocol):
    """A flat set of objects. Every method raises StoreError, with the next step, when the store fails."""

    @property
    def url(self) -> str:
        """Where the objects lie; holds no secret."""
        ...

    def list(
        self,
        prefix: str = "",
        *,
        endings: str | tuple[str, ...] = "",
        start_after: str = "",
        passed_over: PassOver | None = None,
    ) -> Iterator[ObjectInfo]:
        """Objects whose key starts with the prefix, in the order of their keys' UTF-8 bytes.

        Only those with one of the endings, written in small letters (a key's capitals do not matter), and with a key
        behind `start_after` in that order. What else lies under the prefix is told to `passed_over`, links that are not
        followed among it. What a server tells in pages passes by; what is asked for is held in memory, about half a KB an
        object, because not every server keeps the order: name the endings where most objects are not wanted.
        """
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """What is known of the object; None when there is none."""
        ...

    def identify(self, info: ObjectInfo) -> str:
        """The object's ETag as a catalog should keep it: one by which its content is known in a copied folder too.

        A folder reads the object for it; compare with `listed_etag`, `content_of`. Raises ObjectMissingError when there is none.
        """
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectMissingError when there is none."""
        ...

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object as a stream (`read(n)`, lines), never held whole. Raises ObjectMissingError."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The object's own file, to be read only; None where objects are no local files.

        Raises ObjectMissingError when objects are files and there is none.
        """
        ...

    def put(self, key: str, data: bytes | Path) -> ObjectInfo:
        """Write bytes or a local file over what lies there. A reader sees the old or the new, no part."""
        ...

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        """Write an object only where there is none: the first writer gets True, others False.

        False means that an object lies there; after a broken connection it can be the one this call wrote.
        Before a server that ignores conditions (`check` warns of it) an object that lies there is still kept, but
        of several writers at the same moment more than one can get True: the last one's object is then whole.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; keys without an object are skipped."""
        ...

    def check(self) -> None:
        """Read and write for a trial. Raises StoreError saying what is wrong and the next step."""
        ...


def check_key(key: str) -> str:
    """The key itself when it is one; raises ObjectKeyError otherwise.

    A key is relative, its segments are neither empty nor "." nor "..", it holds no backslash and no control
    character, is UTF-8 of at most 1,024 bytes, and does not lie in the store's own `.tmp/`.
    """
    problem = _key_problem(key)
    if problem:
        shown = key if len(key) <= 80 else key[:77] + "..."
        raise ObjectKeyError(
            f"expected an object key such as landing/2026/batch.jsonl, found {shown!r}, which {problem}: "
            "correct the key"
        )
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself when it is one: "", or the beginning of a key. Raises ObjectKeyError otherwise."""
    folder, _, rest = prefix.rpartition("/")
    if folder or prefix.startswith("/"):
        check_key(folder or prefix)
    if rest.strip("."):
        check_key(rest)
    return prefix


@dataclass(frozen=True, slots=True)
class Selection:
    """What a listing asks for. Raises ObjectKeyError when a part of it cannot be one."""

    prefix: str = ""
    endings: str | tuple[str, ...] = ""
    start_after: str = ""

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        check_prefix(self.start_after)

    def takes(self, key: str) -> bool:
        """Whether the object is asked for. Strings compare as their UTF-8 bytes do."""
        return self.covers(key) and self.ends(key)

    def covers(self, key: str) -> bool:
        """Whether the object lies where it is asked for, whatever its ending."""
        return key.startswith(self.prefix) and key > self.start_after

    def ends(self, key: str) -> bool:
        """Whether the object has one of the endings."""
        return key.lower().endswith(self.endings)

    def enters(self, folder: str) -> bool:
        """Whether an object under the folder, a key's beginning that ends in a slash, can be asked for."""
        near = folder.startswith(self.prefix) or self.prefix.startswith(folder)
        return near and (folder > self.start_after or self.start_after.startswith(folder))


def _key_problem(key: str) -> str | None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    segments = key.split("/")
    problems = [
        (not key, "is empty"),
        (key.startswith("/"), "is absolute"),
        ("\\" in key, "holds a backslash"),
        (any(ord(character) < 32 or character == "\x7f" for character in key), "holds a control character"),
        (".." in segments or "." in segments, "leads out of its folder"),
        ("" in segments, "has an empty segment"),
        (segments[0] == TEMPORARY, f"lies in the store's own {TEMPORARY}/"),
        (size > MAX_KEY_BYTES, f"is {size} bytes long (limit {MAX_KEY_BYTES})"),
    ]
    return next((text for found, text in problems if found), None)
