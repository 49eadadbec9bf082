"""Connections to an S3 server: what is tried again, how long is waited, and for whom."""

import random

from minio import Minio
from urllib3 import PoolManager, Retry, Timeout

from infra.object_store.addresses import BucketAddress

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


def make_pool(
    retries: int | None = None, *, read_seconds: float | None = None, faults: tuple[int, ...] = SERVER_FAULTS
) -> PoolManager:
    """Connections that try again on server faults, broken connections and time-outs, not on refusals."""
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
