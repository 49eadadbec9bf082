"""Objects in a bucket of an S3 server (MinIO, SeaweedFS, AWS ...), through the `minio` client."""

import base64
import hashlib
import io
import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, cast

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.helpers import DictType
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import ObjectKeyError, StoreError
from infra.object_store import TEMPORARY, BucketAddress, ObjectInfo, check_key, check_prefix
from infra.s3_errors import explain_code, explain_failure
from infra.s3_reader import ResumingReader

logger = logging.getLogger(__name__)

RETRIES = 4
BACKOFF_SECONDS = 0.2
SERVER_FAULTS = (500, 502, 503, 504)
CONFLICT = 409
"""AWS: another conditional write of the key is under way."""
PART_BYTES = 16 << 20
"""Size from which an object is sent in parts, and of each part (three are in memory at a time)."""
PRESIGNED_FOR = timedelta(minutes=15)
"""How long a presigned request is good: as long as the clock skew that S3 allows anyway."""


class S3Store:
    """An object store in a bucket. Server faults and broken connections are tried again, refusals are not."""

    def __init__(self, address: BucketAddress, access_key: str, secret_key: str) -> None:
        self._address = address
        self._http = _make_pool(RETRIES)
        self._client = _make_client(address, access_key, secret_key, self._http)
        self._impatient = _make_client(address, access_key, secret_key, _make_pool(0))

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    @property
    def url(self) -> str:
        return self._address.url

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._explaining():
            # Sorted here because servers that keep folders (SeaweedFS) give "a/x" before "a-b/x".
            found = sorted(self._list_page_by_page(prefix), key=lambda info: info.key.encode())
        return iter(found)

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
        size = _size(data)
        with _as_stream(data) as stream, self._explaining(key):
            written = self._client.put_object(self._address.bucket, key, stream, size, part_size=PART_BYTES)
        date = written.http_headers.get("date") if written.http_headers else None
        modified = parsedate_to_datetime(date) if date else None
        return ObjectInfo(key, written.etag or "", size, _in_utc(modified))

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        return self._put_first(check_key(key), data)

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [DeleteObject(check_key(key)) for key in keys]
        with self._explaining():
            refused = [*self._client.remove_objects(self._address.bucket, doomed)]
        if refused:
            raise explain_code(refused[0].code, refused[0].message, self._address, refused[0].name)

    def check(self) -> None:
        probe = f"{TEMPORARY}/check-{uuid.uuid4().hex}"
        with self._explaining():
            next(iter(self._impatient.list_objects(self._address.bucket, prefix=probe)), None)
            self._put_first(probe, b"probe")
            first_writer_wins = not self._put_first(probe, b"probe")
            self._client.remove_object(self._address.bucket, probe)
        if not first_writer_wins:
            logger.warning("%s ignores If-None-Match: of two writers of one key the last wins", self._address.server)

    @contextmanager
    def _explaining(self, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except (MinioException, HTTPError) as error:
            raise explain_failure(error, self._address, key) from error

    def _list_page_by_page(self, prefix: str) -> Iterator[ObjectInfo]:
        for found in self._client.list_objects(self._address.bucket, prefix=prefix, recursive=True):
            key = found.object_name or ""
            # Some servers list folders too, as keys ending in a slash.
            if key.startswith(TEMPORARY + "/") or key.endswith("/"):
                continue
            try:
                check_key(key)
            except ObjectKeyError:
                logger.warning("passed over %r in %s: it is no object key", key, self.url)
                continue
            yield ObjectInfo(key, found.etag or "", found.size or 0, _in_utc(found.last_modified))

    def _put_first(self, key: str, data: bytes | Path) -> bool:
        """Write where nothing lies.

        The S3 client has no argument for If-None-Match (as metadata it is silently ignored), but a request
        that it signs in the URL may carry any header.
        """
        headers = {"If-None-Match": "*", "Content-Length": str(_size(data)), "Content-MD5": _md5(data)}
        for attempt in range(RETRIES + 1):
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1) if attempt else 0)
            status, failure = self._send_presigned(key, data, headers)
            if failure is None or status == 412:
                return failure is None
            if status == 501:
                return self._put_after_looking(key, data)
            if status and status not in (*SERVER_FAULTS, CONFLICT):
                break
            logger.debug("writing %s failed (HTTP %s), try %d", key, status or "none", attempt + 1)
        assert failure is not None
        raise failure

    def _send_presigned(
        self, key: str, data: bytes | Path, headers: dict[str, str]
    ) -> tuple[int | None, StoreError | None]:
        """Send once. Returns the HTTP status (None without an answer) and the error (None when written)."""
        with self._explaining(key):
            url = self._client.get_presigned_url("PUT", self._address.bucket, key, expires=PRESIGNED_FOR)
        try:
            with _as_stream(data) as body:
                # No retries by urllib3, which would log the signed URL.
                response = self._http.urlopen("PUT", url, body=body, headers=headers, retries=False)
        except HTTPError as error:
            return None, explain_failure(error, self._address, key)
        if response.status < 300:
            return response.status, None
        return response.status, self._explain_response(response, key)

    def _explain_response(self, response: BaseHTTPResponse, key: str) -> StoreError:
        if "xml" not in response.headers.get("content-type", ""):
            return explain_code(f"HTTP {response.status}", None, self._address, key)
        return explain_failure(S3Error.fromxml(response), self._address, key)

    def _put_after_looking(self, key: str, data: bytes | Path) -> bool:
        logger.warning("%s refuses If-None-Match: two writers of %s at once can both win", self._address.server, key)
        try:
            self._client.stat_object(self._address.bucket, key)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise explain_failure(error, self._address, key) from error
            with _as_stream(data) as stream, self._explaining(key):
                self._client.put_object(self._address.bucket, key, stream, _size(data), part_size=PART_BYTES)
            return True
        return False


def _make_pool(retries: int) -> PoolManager:
    """Connections that try again on server faults, broken connections and time-outs, not on refusals."""
    policy = Retry(
        total=retries,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=SERVER_FAULTS,
        allowed_methods=None,
        raise_on_status=False,
    )
    return PoolManager(timeout=Timeout(connect=5, read=60), retries=policy, maxsize=32, cert_reqs="CERT_REQUIRED")


def _make_client(address: BucketAddress, access_key: str, secret_key: str, http: PoolManager) -> Minio:
    return Minio(
        address.endpoint,
        access_key=access_key,
        secret_key=secret_key,
        secure=address.secure,
        region=address.region,
        http_client=http,
    )


def _as_stream(data: bytes | Path) -> BinaryIO:
    return data.open("rb") if isinstance(data, Path) else io.BytesIO(data)


def _size(data: bytes | Path) -> int:
    return data.stat().st_size if isinstance(data, Path) else len(data)


def _md5(data: bytes | Path) -> str:
    """Base64 of the MD5, by which the server notices damaged bytes (a presigned body is not signed)."""
    digest = hashlib.md5(usedforsecurity=False)
    with _as_stream(data) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def _in_utc(moment: datetime | None) -> datetime:
    return moment.astimezone(UTC) if moment else datetime.now(UTC)
