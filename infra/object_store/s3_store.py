"""Objects in a bucket of an S3 server (MinIO, SeaweedFS, AWS ...), through the `minio` client."""

import io
import logging
import mmap
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, cast

from minio.datatypes import Object
from minio.deleteobjects import DeleteError, DeleteObject
from minio.error import MinioException, S3Error
from minio.helpers import DictType
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import ObjectKeyError, StoreError, StoreUnavailableError
from infra.object_store import s3_client
from infra.object_store.addresses import BucketAddress
from infra.object_store.objects import TEMPORARY, ObjectInfo, PassOver, Selection, check_key
from infra.object_store.s3_client import ResumingReader, make_client, make_pool
from infra.object_store.s3_errors import explain_code, explain_failure, explain_no_events, status_of

logger = logging.getLogger(__name__)

PART_BYTES = 16 << 20
"""Size from which an object is sent in parts, and of each part (three are in memory at a time)."""
SILENT_SECONDS = 5.0
"""A server that sends events sends a sign of life twice a second; silent for so long, it is taken for gone."""
EVENT_STREAM = "text/event-stream"
_NOT_CREATED = {412: False, 501: None}
"""What a rejected conditional write means, by its HTTP status: an object lies there, or the server knows no conditions."""


class S3Store:
    """An object store in a bucket. Server faults and broken connections are tried again, rejections are not."""

    def __init__(self, address: BucketAddress, access_key: str, secret_key: str) -> None:
        self._address = address
        faults = (*s3_client.SERVER_FAULTS, s3_client.CONFLICT)
        self._client = make_client(address, access_key, secret_key, make_pool())
        self._creator = make_client(address, access_key, secret_key, make_pool(faults=faults))
        self._impatient = make_client(address, access_key, secret_key, make_pool(0))
        self._listener = make_client(address, access_key, secret_key, make_pool(0, read_seconds=SILENT_SECONDS))

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    @property
    def url(self) -> str:
        return self._address.url

    def list(
        self,
        prefix: str = "",
        *,
        endings: str | tuple[str, ...] = "",
        start_after: str = "",
        passed_over: PassOver | None = None,
    ) -> Iterator[ObjectInfo]:
        selection = Selection(prefix, endings, start_after)
        with self._explaining():
            found = {info.key: info for info in self._iter_selected(selection, passed_over or self._log_passed_over)}
        # Sorted here because servers that keep folders (SeaweedFS) give "a/x" before "a-b/x".
        return iter([found[key] for key in sorted(found)])

    def stat(self, key: str) -> ObjectInfo | None:
        check_key(key)
        try:
            with self._explaining(key):
                found = self._client.stat_object(self._address.bucket, key)
        except StoreError as error:
            if isinstance(error.__cause__, S3Error) and error.__cause__.code == "NoSuchKey":
                return None
            raise
        return ObjectInfo(key, found.etag or "", found.size or 0, _in_utc(found.last_modified))

    def identify(self, info: ObjectInfo) -> str:
        return info.etag  # S3 makes it of the content

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        check_key(key)

        def fetch(offset: int, etag: str | None) -> BaseHTTPResponse:
            headers: DictType = {"If-Match": etag} if etag else {}
            with self._explaining(key):
                return self._client.get_object(self._address.bucket, key, offset, request_headers=headers)

        raw = ResumingReader(fetch, lambda error: explain_failure(error, self._address, key))
        with io.BufferedReader(raw, 1 << 20) as stream:
            yield cast(BinaryIO, stream)

    def local_path(self, key: str) -> Path | None:
        check_key(key)
        return None

    def put(self, key: str, data: bytes | Path) -> ObjectInfo:
        check_key(key)
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        stream = data.open("rb") if isinstance(data, Path) else io.BytesIO(data)
        with stream, self._explaining(key):
            written = self._client.put_object(self._address.bucket, key, stream, size, part_size=PART_BYTES)
        date = written.http_headers.get("date") if written.http_headers else None
        modified = parsedate_to_datetime(date) if date else None
        return ObjectInfo(key, written.etag or "", size, _in_utc(modified))

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        check_key(key)
        # Looking first spares sending what is there, and keeps it where the server ignores the condition.
        if self._lies_at(key):
            return False
        created = self._create(key, data)
        if created is None:
            server = self._address.server
            logger.warning("%s rejects If-None-Match: two writers of %s at once can both win", server, key)
            self.put(key, data)
        return created is not False

    def _create(self, key: str, data: bytes | Path) -> bool | None:
        """Write where nothing lies: True when written, False when an object lies there, None when the server rejects
        conditions and nothing was done.
        """
        # The client's own put_object has no argument for the header, and as metadata it is silently ignored.
        condition: DictType = {"If-None-Match": "*"}
        with self._explaining(key), _as_body(data) as body:
            try:
                self._creator._execute("PUT", self._address.bucket, key, body, condition)
            except MinioException as error:
                status = status_of(error)
                if status not in _NOT_CREATED:
                    raise
                return _NOT_CREATED[status]
        return True

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [check_key(key) for key in keys]
        for attempt in range(s3_client.RETRIES + 1):
            time.sleep(s3_client.pause_before(attempt))
            rejected = self._delete_once(doomed)
            lasting = [error for error in rejected if error.code not in s3_client.FAULT_CODES]
            if not rejected or lasting:
                break
            doomed = [error.name or "" for error in rejected]
        if rejected:
            worst = (lasting or rejected)[0]
            status = 400 if lasting else 503
            raise explain_code(worst.code, worst.message, self._address, worst.name, status)

    def _delete_once(self, keys: Iterable[str]) -> Sequence[DeleteError]:
        """Keys that the server did not delete, and why; a thousand are sent at a time."""
        with self._explaining():
            return [*self._client.remove_objects(self._address.bucket, [DeleteObject(key) for key in keys])]

    def check(self) -> None:
        probe = f"{TEMPORARY}/check-{uuid.uuid4().hex}"
        with self._explaining():
            next(iter(self._impatient.list_objects(self._address.bucket, prefix=probe)), None)
            created = self._create(probe, b"probe")
            if created is None:
                self._client.put_object(self._address.bucket, probe, io.BytesIO(b"probe"), len(b"probe"))
            first_writer_wins = self._create(probe, b"probe") is False
            self._client.remove_object(self._address.bucket, probe)
        if not first_writer_wins:
            logger.warning(
                "%s ignores If-None-Match: of two writers of one key at the same moment the last wins",
                self._address.server,
            )

    def open_events(self, prefix: str, ending: str = "") -> BaseHTTPResponse:
        """The server's endless answer about created objects: a line of JSON for each, and blanks as signs of life.

        From the moment this returns, no object of that prefix and ending goes untold while the connection lasts.
        Raises EventsUnsupportedError at a server that does not tell, StoreError.
        """
        query: DictType = {"prefix": prefix, "suffix": ending, "events": ("s3:ObjectCreated:*",)}
        try:
            # The client's own listen_bucket_notification cannot be stopped while nothing happens, comes back
            # without a pause when it breaks, and for ever at a server that answers something else.
            response = self._listener._execute("GET", self._address.bucket, query_params=query, preload_content=False)
        except (MinioException, HTTPError) as error:
            raise explain_no_events(error, self._address) from error
        if EVENT_STREAM not in response.headers.get("content-type", ""):
            response.close()
            raise explain_no_events(None, self._address)
        return response

    def _lies_at(self, key: str) -> bool:
        try:
            return self.stat(key) is not None
        except StoreUnavailableError:
            raise
        except StoreError:
            # The answer to a look has no body that says why it was rejected; the answer to the write has.
            return False

    @contextmanager
    def _explaining(self, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except (MinioException, HTTPError) as error:
            raise explain_failure(error, self._address, key) from error

    def _iter_objects(self, selection: Selection) -> Iterator[Object]:
        """What the server tells of objects that may be asked for, a thousand at a time; some come twice, or in vain."""
        for prefix, start_after in _plan_listings(selection):
            yield from self._client.list_objects(self._address.bucket, prefix, recursive=True, start_after=start_after)

    def _iter_selected(self, selection: Selection, tell: PassOver) -> Iterator[ObjectInfo]:
        for found in self._iter_objects(selection):
            key = found.object_name or ""
            # Some servers list folders too, as keys ending in a slash.
            if key.startswith(TEMPORARY + "/") or key.endswith("/") or not selection.covers(key):
                continue
            if not selection.ends(key):
                tell(key, "")
                continue
            try:
                check_key(key)
            except ObjectKeyError as error:
                tell(key, f"no object key: {error}")
                continue
            yield ObjectInfo(key, found.etag or "", found.size or 0, _in_utc(found.last_modified))

    def _log_passed_over(self, key: str, reason: str) -> None:
        if reason:
            logger.warning("skipped %r in %s: %s", key, self.url, reason)


@contextmanager
def _as_body(data: bytes | Path) -> Iterator[bytes]:
    """The data as the one body that the client signs and sends; a file is mapped, not read, because it may be large."""
    if isinstance(data, bytes) or not data.stat().st_size:
        yield b"" if isinstance(data, Path) else data
        return
    with data.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield cast(bytes, mapped)


def _in_utc(moment: datetime | None) -> datetime:
    return moment.astimezone(UTC) if moment else datetime.now(UTC)


def _plan_listings(selection: Selection) -> list[tuple[str, str | None]]:
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
