"""Writing an object where there is none, with the server as the judge."""

import base64
import hashlib
import io
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import StoreError
from infra.object_store import s3_client
from infra.object_store.addresses import BucketAddress
from infra.object_store.s3_errors import explain_code, explain_failure

logger = logging.getLogger(__name__)

EXISTS = 412
CONFLICT = 409
"""AWS: another conditional write of the key is under way."""
UNSUPPORTED = 501
PRESIGNED_FOR = timedelta(minutes=15)
"""How long a presigned request is good: as long as the clock skew that S3 allows anyway."""


@dataclass(frozen=True)
class Creator:
    """Conditional writes to a bucket.

    The S3 client has no argument for If-None-Match (as metadata it is silently ignored), but a request that it
    signs in the URL may carry any header.
    """

    address: BucketAddress
    client: Minio
    http: PoolManager

    def create(self, key: str, data: bytes | Path) -> bool | None:
        """Write where nothing lies: True when written, False when an object lies there, None when the server
        refuses conditions and nothing was done. Raises StoreError.
        """
        headers = {"If-None-Match": "*", "Content-Length": str(measure(data)), "Content-MD5": _md5(data)}
        for attempt in range(s3_client.RETRIES + 1):
            time.sleep(s3_client.pause_before(attempt))
            status, failure = self._send(key, data, headers)
            if failure is None or status == EXISTS:
                return failure is None
            if status == UNSUPPORTED:
                return None
            if status and status not in (*s3_client.SERVER_FAULTS, CONFLICT):
                break
            logger.debug("writing %s failed (HTTP %s), try %d", key, status or "none", attempt + 1)
        assert failure is not None
        raise failure

    def _send(self, key: str, data: bytes | Path, headers: dict[str, str]) -> tuple[int | None, StoreError | None]:
        """Send once. Returns the HTTP status (None without an answer) and the error (None when written)."""
        try:
            url = self.client.get_presigned_url("PUT", self.address.bucket, key, expires=PRESIGNED_FOR)
        except (MinioException, HTTPError) as error:
            raise explain_failure(error, self.address, key) from error
        try:
            with open_data(data) as body:
                # No retries by urllib3, which would log the signed URL.
                response = self.http.urlopen("PUT", url, body=body, headers=headers, retries=False)
        except HTTPError as error:
            return None, explain_failure(error, self.address, key)
        if response.status < 300:
            return response.status, None
        return response.status, self._explain(response, key)

    def _explain(self, response: BaseHTTPResponse, key: str) -> StoreError:
        if "xml" not in response.headers.get("content-type", ""):
            return explain_code(f"HTTP {response.status}", None, self.address, key, response.status)
        return explain_failure(S3Error.fromxml(response), self.address, key)


def open_data(data: bytes | Path) -> BinaryIO:
    """Bytes or a local file as a stream."""
    return data.open("rb") if isinstance(data, Path) else io.BytesIO(data)


def measure(data: bytes | Path) -> int:
    """Size in bytes."""
    return data.stat().st_size if isinstance(data, Path) else len(data)


def _md5(data: bytes | Path) -> str:
    """Base64 of the MD5, by which the server notices damaged bytes (a presigned body is not signed)."""
    digest = hashlib.md5(usedforsecurity=False)
    with open_data(data) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()
