"""From candidate to pair: every check a tweet passes before it is stored."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from itrp.data.images import check_image
from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.rejections import MissingImageError, RejectedError
from itrp.data.rounded_ids import reject_rounded
from itrp.data.texts import check_text, is_utf8
from itrp.data.times import is_given, parse_time

MAX_ID_LENGTH = 64
MAX_LANG_LENGTH = 35
"""Longest language tag that need be kept (RFC 5646, section 4.4.1)."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEGATIVE = re.compile(r"-\d+")


def check_candidate(candidate: Candidate, fetch: Callable[[str], bytes]) -> Pair | Rejection:
    """Check id, text and image; the first check that fails makes the rejection.

    fetch: returns the bytes at an image's key, or raises MissingImageError when nothing lies there, or
    RejectedError when the key itself is rejected. Whatever else it raises (a store that does not answer) is
    passed on: it says nothing about the tweet.
    """
    try:
        tweet_id = check_id(candidate.id)
        text = check_text(candidate.text)
        image_key, image = _fetch_image(candidate, fetch)
    except RejectedError as error:
        return reject(candidate, error.code, error.reason)
    created_at = parse_time(candidate.created_at)
    return Pair(
        id=tweet_id,
        text=text,
        image=image,
        image_path=PurePosixPath(image_key).name,
        created_at=created_at,
        lang=_clean_lang(candidate.lang),
        source=candidate.source,
        line=candidate.line,
        former_texts=candidate.former_texts,
        time_unread=created_at is None and is_given(candidate.created_at),
    )


def reject(candidate: Candidate, code: str, reason: str) -> Rejection:
    """The rejection of a candidate, with its id in writing as far as there is one."""
    return Rejection(candidate.source, candidate.line, code, reason, describe_id(candidate.id), candidate.image_key)


def check_id(value: object) -> str:
    """The id as a string; whole numbers count as their digits.

    Raises RejectedError with the code id_missing or id_invalid.
    """
    if value is None or value == "":
        raise RejectedError("id_missing", "expected an id, found none")
    reject_rounded(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RejectedError(
            "id_invalid",
            f"expected the id as a string, found a {type(value).__name__}: write the id in quotes",
        )
    tweet_id = describe_id(value) or ""
    if _NEGATIVE.fullmatch(tweet_id):
        raise RejectedError("id_invalid", f"expected the tweet's id, found the negative number {tweet_id}")
    if (isinstance(value, str) and len(value) > MAX_ID_LENGTH) or not _ID.fullmatch(tweet_id):
        raise RejectedError(
            "id_invalid",
            f"expected 1 to {MAX_ID_LENGTH} of the characters A-Z a-z 0-9 _ -, found {tweet_id!r}",
        )
    return tweet_id


def describe_id(value: object) -> str | None:
    """At most 64 printable characters of whatever stands in the place of the id; None when there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of more than 77 digits"
    written = value if isinstance(value, str) else str(value)
    return written.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")[:MAX_ID_LENGTH]


def _fetch_image(candidate: Candidate, fetch: Callable[[str], bytes]) -> tuple[str, bytes]:
    key = candidate.image_key
    if not key:
        raise RejectedError("image_not_named", "expected the key of an image, found none")
    try:
        image = fetch(key)
    except MissingImageError as error:
        raise RejectedError(
            "image_missing",
            f"expected an image at {key[:600]!r}, found nothing: upload it, then replay the quarantine",
        ) from error
    check_image(image)
    return key, image


def _clean_lang(value: object) -> str | None:
    """A language tag as it came; what cannot be one is dropped."""
    if isinstance(value, str) and 0 < len(value) <= MAX_LANG_LENGTH and is_utf8(value) and "\0" not in value:
        return value
    return None
