"""What went wrong at an S3 server, in one line with the next step and without a secret."""

import re

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from infra.errors import EventsUnsupportedError, ObjectMissingError, StoreError, StoreUnavailableError
from infra.object_store.addresses import BucketAddress

_KEYS = "ITRP_OBJECT_STORE_ACCESS_KEY and ITRP_OBJECT_STORE_SECRET_KEY"

_BY_CODE = {
    "InvalidAccessKeyId": "does not know the access key: correct ITRP_OBJECT_STORE_ACCESS_KEY",
    "SignatureDoesNotMatch": "rejects the secret key: correct ITRP_OBJECT_STORE_SECRET_KEY",
    "AccessDenied": f"rejected the keys: correct {_KEYS}, or give them the right to read and write the bucket",
    "NoSuchBucket": "has no such bucket: create it, or correct the name in ITRP_OBJECT_STORE_URL",
    "RequestTimeTooSkewed": "has a clock over 15 minutes off this machine's: set both clocks",
    "PreconditionFailed": "has a new object at the key since reading began: read it again",
    "AuthorizationHeaderMalformed": "expects another region: add &region=NAME to ITRP_OBJECT_STORE_URL",
    "PermanentRedirect": "keeps the bucket in another region: add &region=NAME to ITRP_OBJECT_STORE_URL",
    "EntityTooLarge": "accepts no object of this size: write smaller ones",
}
"""What the server did and the next step, by S3 error code."""

_NO_EVENTS = {"NotImplemented", "MethodNotAllowed"}
_NOT_IMPLEMENTED = 501


def status_of(error: MinioException) -> int | None:
    """The HTTP status of the answer that an error tells of; None when it tells of none."""
    if isinstance(error, S3Error):
        return int(error.response.status)
    found = re.search(r"(?:Response|HTTP status) code:? (\d+)", str(error))
    return int(found[1]) if found else None


def explain_failure(error: MinioException | HTTPError, address: BucketAddress, key: str | None) -> StoreError:
    """The error to raise for one of the S3 client's or of urllib3's, whose own messages hold request lines: they are
    never repeated.
    """
    if isinstance(error, S3Error):
        return explain_code(error.code or "without a code", error.message, address, key, error.response.status)
    if isinstance(error, HTTPError):
        return _explain_connection(error, address, key)
    status = status_of(error)
    if status and (status >= 500 or isinstance(error, ServerError)):
        # As a proxy answers before a server that is down.
        return explain_code(f"HTTP {status}", None, address, key, status)
    if isinstance(error, InvalidResponseError):
        return StoreError(
            f"what answers at {address.server} is no S3 server: correct the endpoint in ITRP_OBJECT_STORE_URL"
        )
    return StoreError(f"the S3 client failed with {type(error).__name__} at {_place(address, key)}")


def explain_code(
    code: str, message: str | None, address: BucketAddress, key: str | None, status: int = 400
) -> StoreError:
    """The error to raise for an S3 error code: ObjectMissingError where there is no object, StoreUnavailableError
    where the HTTP status tells of a server fault.
    """
    if code == "NoSuchKey":
        return ObjectMissingError(f"no object lies at {key} in {address.url}: put it there, or correct the key")
    answer = f"{code} ({message})" if message else code
    step = _BY_CODE.get(code, f"answered {answer}: check the server's log and try again")
    kind = StoreUnavailableError if status >= 500 and status != _NOT_IMPLEMENTED else StoreError
    return kind(f"the S3 server at {address.server} {step} ({_place(address, key)})")


def explain_no_events(error: MinioException | HTTPError | None, address: BucketAddress) -> StoreError:
    """The error to raise when a server was asked for events and gave none; None: it answered something else."""
    rejected = isinstance(error, S3Error) and error.code in _NO_EVENTS
    if error is not None and not rejected:
        return explain_failure(error, address, None)
    return EventsUnsupportedError(
        f"expected the S3 server at {address.server} to emit bucket events, found none: "
        f"list the bucket from time to time, or use a server that has them, such as MinIO ({_place(address, None)})"
    )


def _explain_connection(error: HTTPError, address: BucketAddress, key: str | None) -> StoreError:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    kind: type[StoreError] = StoreUnavailableError
    if isinstance(reason, SSLError):
        kind = StoreError
        step = f"{address.server} does not speak TLS as expected: correct https, or trust its certificate"
    elif isinstance(reason, ReadTimeoutError):
        step = f"the S3 server at {address.server} takes the request but does not answer: check its log"
    elif isinstance(reason, (NewConnectionError, ConnectTimeoutError)):
        step = f"nothing answers at {address.server}: start the S3 server, or correct ITRP_OBJECT_STORE_URL"
    else:
        step = f"the connection to {address.server} broke again and again: check the server's log and try again"
    return kind(f"{step} ({_place(address, key)})")


def _place(address: BucketAddress, key: str | None) -> str:
    return f"bucket {address.bucket}, key {key}" if key else f"bucket {address.bucket}"
