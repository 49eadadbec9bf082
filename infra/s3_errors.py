"""What went wrong at an S3 server, in one line with the next step and without a secret."""

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from infra.errors import ObjectMissingError, StoreError
from infra.object_store import BucketAddress

_KEYS = "ITRP_OBJECT_STORE_ACCESS_KEY and ITRP_OBJECT_STORE_SECRET_KEY"

_BY_CODE = {
    "InvalidAccessKeyId": "does not know the access key: correct ITRP_OBJECT_STORE_ACCESS_KEY",
    "SignatureDoesNotMatch": "found the secret key wrong: correct ITRP_OBJECT_STORE_SECRET_KEY",
    "AccessDenied": f"refused the keys: correct {_KEYS}, or give them the right to read and write the bucket",
    "NoSuchBucket": "has no such bucket: create it, or correct the name in ITRP_OBJECT_STORE_URL",
    "RequestTimeTooSkewed": "has another time than this machine, by over 15 minutes: set both clocks",
    "PreconditionFailed": "has another object at the key than when reading began: read it again",
    "AuthorizationHeaderMalformed": "expects another region: add &region=NAME to ITRP_OBJECT_STORE_URL",
    "PermanentRedirect": "keeps the bucket in another region: add &region=NAME to ITRP_OBJECT_STORE_URL",
    "EntityTooLarge": "takes no object of this size: write smaller ones",
}
"""What the server did and the next step, by S3 error code."""


def explain_failure(error: Exception, address: BucketAddress, key: str | None) -> StoreError:
    """The error to raise for one of the S3 client's or of urllib3's.

    urllib3's own messages hold request lines, and presigned ones a signature: they are never repeated.
    """
    if isinstance(error, S3Error):
        return explain_code(error.code or "without a code", error.message, address, key)
    if isinstance(error, HTTPError):
        return StoreError(f"{_explain_connection(error, address)} ({_place(address, key)})")
    if isinstance(error, InvalidResponseError):
        return StoreError(
            f"what answers at {address.server} is no S3 server: correct the endpoint in ITRP_OBJECT_STORE_URL"
        )
    if isinstance(error, ServerError):
        return explain_code(f"HTTP {error.status_code}", None, address, key)
    return StoreError(f"the S3 client failed with {type(error).__name__} at {_place(address, key)}")


def explain_code(code: str, message: str | None, address: BucketAddress, key: str | None) -> StoreError:
    """The error to raise for an S3 error code; ObjectMissingError where there is no object."""
    if code == "NoSuchKey":
        return ObjectMissingError(f"no object lies at {key} in {address.url}: put it there, or correct the key")
    answer = f"{code} ({message})" if message else code
    step = _BY_CODE.get(code, f"answered {answer}: look at the server's log and try again")
    return StoreError(f"the S3 server at {address.server} {step} ({_place(address, key)})")


def _explain_connection(error: HTTPError, address: BucketAddress) -> str:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(reason, SSLError):
        return f"{address.server} does not speak TLS as expected: correct https, or trust its certificate"
    if isinstance(reason, ReadTimeoutError):
        return f"the S3 server at {address.server} takes the request but does not answer: look at its log"
    if isinstance(reason, (NewConnectionError, ConnectTimeoutError)):
        return f"nothing answers at {address.server}: start the S3 server, or correct ITRP_OBJECT_STORE_URL"
    return f"the connection to {address.server} broke again and again: look at the server's log and try again"


def _place(address: BucketAddress, key: str | None) -> str:
    return f"bucket {address.bucket}, key {key}" if key else f"bucket {address.bucket}"
