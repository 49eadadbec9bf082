"""ETags of objects in a folder: what a listing tells, `size-time`, and with the content's hash `size-time-sha256`.

A listing must not read files, so it tells size and time alone; but times change when a folder is copied. S3's ETags come
from the content, and are neither: they are compared whole.
"""

import re

_WITH_HASH = re.compile(r"(([0-9a-f]+)-[0-9a-f]+)-([0-9a-f]{64})")


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
