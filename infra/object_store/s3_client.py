"""Connections to an S3 server: what is tried again, how long is waited, and an object's bytes over a connection that breaks."""

import io
import logging
import random
from collections.abc import Callable
from typing import Any

from minio import Minio
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import StoreError
from infra.object_store.addresses import BucketAddress

logger = logging.getLogger(__name__)

RETRIES = 8
"""Tries after the first. With the pauses below, a server that is gone for half a minute is waited for."""
BACKOFF_SECONDS = 0.25
"""The pauses are 0, 2, 4, 8 ... times this, each up to this much longer by chance: clients that failed together
do not come back together."""
MAX_PAUSE_SECONDS = 10.0
"""No pause is longer, not even if the server asks for it (MinIO asks for two minutes while it starts)."""
SERVER_FAULTS = (500, 502, 503, 504)
CONFLICT = 409
"""AWS: another conditional write of the key is under way; worth trying again."""
FAULT_CODES = {"InternalError", "ServiceUnavailable", "SlowDown", "SlowDownWrite"}
"""The same for single objects of a bulk deletion, which have an error code but no status."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
"""How long an answer, or the next part of one, may take."""
CONNECTIONS = 64
"""Connections that are kept open, at least as many as threads that read or write at once."""
MAX_BREAKS = 5
"""So often the reading of one object goes on after a broken connection."""

Fetch = Callable[[int, str | None], BaseHTTPResponse]
"""(offset, etag) -> the response with the object's bytes from the offset on, if it still has that ETag."""


def make_pool(
    retries: int | None = None, *, read_seconds: float | None = None, faults: tuple[int, ...] = SERVER_FAULTS
) -> PoolManager:
    """Connections that try again on server faults, broken connections and time-outs, not on rejections."""
    policy = Retry(
        total=RETRIES if retries is None else retries,
        backoff_factor=BACKOFF_SECONDS,
        backoff_jitter=BACKOFF_SECONDS,
        backoff_max=MAX_PAUSE_SECONDS,
        retry_after_max=int(MAX_PAUSE_SECONDS),
        status_forcelist=faults,
        allowed_methods=None,
        raise_on_status=False,
    )
    timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS if read_seconds is None else read_seconds)
    return PoolManager(timeout=timeout, retries=policy, maxsize=CONNECTIONS, cert_reqs="CERT_REQUIRED")


def make_client(address: BucketAddress, access_key: str, secret_key: str, http: PoolManager) -> Minio:
    """The S3 client on those connections. Contacts nobody yet."""
    return Minio(
        address.endpoint,
        access_key=access_key,
        secret_key=secret_key,
        secure=address.secure,
        region=address.region,
        http_client=http,
    )


def pause_before(attempt: int) -> float:
    """Seconds to wait before a try (the first is 0), by the same rule as the connections' own."""
    if attempt < 2:
        return 0.0
    return min(MAX_PAUSE_SECONDS, BACKOFF_SECONDS * 2 ** (attempt - 1) + random.uniform(0, BACKOFF_SECONDS))


class ResumingReader(io.RawIOBase):
    """Bytes of an object; where the connection breaks, the rest of the same content is asked for."""

    def __init__(self, fetch: Fetch, explain: Callable[[HTTPError], StoreError]) -> None:
        self._fetch = fetch
        self._explain = explain
        self._position = 0
        self._breaks = 0
        self._response = fetch(0, None)
        self._etag = self._response.headers.get("etag")
        self._end = int(self._response.headers.get("content-length", "-1"))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; 0 at the end. Raises StoreError after too many breaks."""
        if self._position == self._end:
            return 0
        data = self._read_on(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read_on(self, size: int) -> bytes:
        while True:
            try:
                return self._response.read(size, decode_content=False)
            except HTTPError as error:
                self._breaks += 1
                if self._breaks > MAX_BREAKS:
                    raise self._explain(error) from error
                logger.info("continuing at byte %d after a broken connection", self._position)
                self._response.close()
                self._response = self._fetch(self._position, self._etag)

    def close(self) -> None:
        """Give the connection back; a response that was not read to its end closes it."""
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()
