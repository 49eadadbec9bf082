"""An object of an S3 server as a stream that survives a broken connection."""

import io
import logging
from collections.abc import Callable
from typing import Any

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import StoreError

logger = logging.getLogger(__name__)

Fetch = Callable[[int, str | None], BaseHTTPResponse]
"""(offset, etag) -> the response with the object's bytes from the offset on, if it still has that ETag."""

MAX_BREAKS = 5


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
