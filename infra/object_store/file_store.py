"""Objects as files of one local folder, with S3's order of keys and without half-written objects."""

import errno
import hashlib
import io
import logging
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from infra.errors import ObjectKeyError, ObjectMissingError, StoreError
from infra.files import make_folder, sync_folder
from infra.object_store.addresses import FolderAddress
from infra.object_store.objects import TEMPORARY, ObjectInfo, PassOver, Selection, check_key

logger = logging.getLogger(__name__)

ABANDONED_SECONDS = 24 * 3600
"""A temporary file this old belongs to a writer that was killed."""

_WITH_HASH = re.compile(r"(([0-9a-f]+)-[0-9a-f]+)-([0-9a-f]{64})")
"""An ETag as a catalog keeps it, `size-time-sha256`. A listing must not read files, so it tells `size-time` alone; but times
change when a folder is copied. S3's ETags come from the content, and are neither: they are compared whole."""


class FileStore:
    """An object store in a folder. Writers work in `<folder>/.tmp/` and move the whole file into place."""

    def __init__(self, address: FolderAddress) -> None:
        self._root = address.folder.expanduser().resolve()
        self._temporary = self._root / TEMPORARY
        self._remove_abandoned()

    def __repr__(self) -> str:
        return f"FileStore({self.url!r})"

    @property
    def url(self) -> str:
        return self._root.as_uri()

    def list(
        self,
        prefix: str = "",
        *,
        endings: str | tuple[str, ...] = "",
        start_after: str = "",
        passed_over: PassOver | None = None,
    ) -> Iterator[ObjectInfo]:
        selection = Selection(prefix, endings, start_after)
        folder = prefix.rpartition("/")[0]
        tell = passed_over or _log_passed_over
        if not folder:
            return self._walk(self._root, "", selection, tell)
        return self._walk(self._locate(folder), folder + "/", selection, tell)

    def stat(self, key: str) -> ObjectInfo | None:
        path = self._locate(key)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _explain(error, key) from error
        return _describe(key, status) if stat.S_ISREG(status.st_mode) else None

    def identify(self, info: ObjectInfo) -> str:
        with self.open(info.key) as stream:
            etag = _describe(info.key, os.fstat(stream.fileno())).etag
            return f"{etag}-{hashlib.file_digest(cast(io.BufferedReader, stream), 'sha256').hexdigest()}"

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        path = self._locate(key)
        try:
            stream = path.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._missing(key) from None
        except OSError as error:
            raise _explain(error, key) from error
        with stream:
            yield stream

    def local_path(self, key: str) -> Path | None:
        if self.stat(key) is None:
            raise self._missing(key)
        return self._locate(key)

    def put(self, key: str, data: bytes | Path) -> ObjectInfo:
        target = self._locate(key)
        with self._whole_file(key, data) as temporary:
            info = _describe(key, temporary.stat())
            make_folder(target.parent)
            temporary.replace(target)
            sync_folder(target.parent)  # the catalog's row about it is written next
        return info

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        target = self._locate(key)
        if target.is_file():
            return False
        with self._whole_file(key, data) as temporary:
            make_folder(target.parent)
            try:
                # A hard link is the one way to give a finished file a name that fails when the name is taken.
                target.hardlink_to(temporary)
            except FileExistsError:
                if target.is_dir():
                    raise
                return False
            sync_folder(target.parent)  # the catalog's row about it is written next
        return True

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._locate(key)
            try:
                path.unlink(missing_ok=True)
            except (NotADirectoryError, IsADirectoryError):
                continue
            except OSError as error:
                raise _explain(error, key) from error

    def check(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with self._whole_file("", b"probe") as temporary:
                linked = temporary.with_suffix(".link")
                linked.hardlink_to(temporary)
                linked.unlink()
        except (OSError, StoreError) as error:
            cause = error.__cause__ if isinstance(error, StoreError) else error
            reason = getattr(cause, "strerror", None) or error
            raise StoreError(
                f"expected a folder that can be written at {self._root}, found: {reason}; create it, "
                "give this user the right to write there, or set ITRP_OBJECT_STORE_URL to another folder"
            ) from error

    def _missing(self, key: str) -> ObjectMissingError:
        return ObjectMissingError(f"no object lies at {key} in {self.url}: put it there, or correct the key")

    def _locate(self, key: str) -> Path:
        """The key's path. Raises ObjectKeyError when a symbolic link on the way leads out of the store."""
        path = self._root / check_key(key)
        try:
            inside = path.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise ObjectKeyError(
                f"{key} leads out of the store {self.url} through a symbolic link: "
                "copy the files in, or mount the folder there"
            )
        return path

    def _walk(self, folder: Path, base: str, selection: Selection, tell: PassOver) -> Iterator[ObjectInfo]:
        """Objects under a folder whose key is `base` ("" or ending in "/"), in the order of their keys."""
        for key, entry in _entries_in_key_order(folder, base):
            wanted = selection.enters(key) if key.endswith("/") else selection.covers(key)
            if not wanted or key == TEMPORARY + "/":
                continue
            if problem := self._find_problem(key, entry, selection):
                tell(key, problem)
            elif key.endswith("/"):
                yield from self._walk(folder / entry.name, key, selection, tell)
            elif not selection.ends(key):
                tell(key, "")
            else:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    if entry.is_symlink():
                        tell(key, "a symbolic link to nothing")
                    continue  # otherwise deleted since the folder was read
                if stat.S_ISREG(status.st_mode):
                    yield _describe(key, status)
                else:
                    tell(key, "no regular file")

    def _find_problem(self, key: str, entry: os.DirEntry[str], selection: Selection) -> str | None:
        """Why an entry of a folder is no object; None when it is one, or a folder of objects."""
        try:
            if entry.is_symlink():
                # Links to folders can form rings, so only links to files are followed.
                return "a symbolic link to a folder: move the folder here" if self._locate(key).is_dir() else None
            # Most objects are not asked for: their keys need no check.
            if key.endswith("/") or selection.ends(key):
                check_key(key.removesuffix("/"))
        except ObjectKeyError as error:
            return "a symbolic link that leads out of the store" if entry.is_symlink() else f"no object key: {error}"
        return None

    @contextmanager
    def _whole_file(self, key: str, data: bytes | Path) -> Iterator[Path]:
        """A finished temporary file holding the data, on the store's file system; gone afterwards."""
        temporary = self._temporary / uuid.uuid4().hex
        source = data.open("rb") if isinstance(data, Path) else io.BytesIO(data)
        try:
            make_folder(self._temporary)
            with source:
                _write(temporary, source)
            yield temporary
        except OSError as error:
            raise _explain(error, key) from error
        finally:
            _remove_quietly(temporary)

    def _remove_abandoned(self) -> None:
        try:
            leftovers = [*self._temporary.iterdir()]
        except OSError:
            return
        for path in leftovers:
            try:
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()
            except OSError:
                continue  # another process was first


def listed_etag(etag: str) -> str:
    """The part of an ETag that a listing tells."""
    found = _WITH_HASH.fullmatch(etag)
    return found[1] if found else etag


def content_of(etag: str) -> str | None:
    """Size and hash, without the time; None for an ETag without a hash."""
    found = _WITH_HASH.fullmatch(etag)
    return f"{found[2]}-{found[3]}" if found else None


def may_be_same(listed: str, etag: str) -> bool:
    """Whether an object with that listed ETag can have the content of the other ETag, of which the hash is known."""
    found = _WITH_HASH.fullmatch(etag)
    return found is not None and listed.partition("-")[0] == found[2]


def _log_passed_over(key: str, reason: str) -> None:
    if reason:
        logger.warning("skipped %r: %s", key, reason)


def _write(path: Path, source: BinaryIO) -> None:
    """Write and sync a new file, timed to the nanosecond: kernel ticks would give quick writes one ETag."""
    with path.open("xb") as stream:
        shutil.copyfileobj(source, stream, 1 << 20)
        stream.flush()
        moment = time.time_ns()
        os.utime(stream.fileno(), ns=(moment, moment))
        os.fsync(stream.fileno())


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        logger.debug("left %s behind", path)


def _entries_in_key_order(folder: Path, base: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(key, entry) of a folder; folders' keys end in "/", so "a-b/x" comes before "a/x" as it does in S3."""
    try:
        with os.scandir(folder) as entries:
            found = [(base + entry.name + _slash(entry), entry) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _explain(error, base) from error
    yield from sorted(found, key=lambda pair: os.fsencode(pair[0]))


def _slash(entry: os.DirEntry[str]) -> str:
    return "/" if entry.is_dir(follow_symlinks=False) else ""


def _describe(key: str, status: os.stat_result) -> ObjectInfo:
    etag = f"{status.st_size:x}-{status.st_mtime_ns:x}"
    return ObjectInfo(key, etag, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


_NEXT_STEPS = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in the quota",
    errno.EACCES: "give this user the right to the folder",
    errno.EPERM: "give this user the right to the folder, or use a file system with hard links",
    errno.EROFS: "mount the disk for writing",
    errno.ENOTDIR: "an object of that name stands where a folder is needed: choose another key",
    errno.EEXIST: "an object of that name stands where a folder is needed: choose another key",
    errno.EISDIR: "a folder stands where the object should be: choose another key",
    errno.ENAMETOOLONG: "file names hold at most 255 bytes: choose a shorter key",
    errno.EXDEV: "the store must lie on one file system",
}


def _explain(error: OSError, key: str) -> StoreError:
    step = _NEXT_STEPS.get(error.errno or 0, "check the disk and the folder's rights")
    reason = error.strerror or str(error)
    return StoreError(f"the folder store failed at {key or 'its own folder'}: {reason}; {step}")
