"""The X API v2 response: tweets in `data[]`, their photos in `includes.media[]`, pictures beside the file.

Source: X API v2, data dictionary (tweet, media): a photo's `media_key`, a tweet's `attachments.media_keys`,
and `note_tweet.text`, which holds the whole text of a tweet longer than 280 characters.
"""

import posixpath
from collections.abc import Callable, Iterator
from typing import Any

from itrp.checks import describe_id
from itrp.datasets.tweets import parse_json, resolve_key
from itrp.pairs import Candidate, Refusal
from itrp.refusals import RefusedError

PICTURE_ENDINGS = ("jpg", "jpeg", "png", "gif", "webp")
"""Endings a picture beside the response may have, in the order they are looked for."""
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Largest response that is read; one of 100 tweets has less than 1 MiB."""


def read_response(data: bytes, source: str, find_picture: Callable[[str], str | None]) -> Iterator[Candidate | Refusal]:
    """One record a tweet of `data[]`, with its first photo; `line` is its place there, from 1.

    data: the response's bytes. source: its key.
    find_picture: key without ending -> key of the picture that lies there, or None.
    """
    try:
        response = _parse_response(data)
    except RefusedError as error:
        yield Refusal(source, 1, error.code, error.reason)
        return
    media = _index_media(response)
    tweets = response.get("data") or []
    for number, tweet in enumerate(tweets if isinstance(tweets, list) else [tweets], start=1):
        if isinstance(tweet, dict):
            yield _read_tweet(tweet, media, source, number, find_picture)
        else:
            reason = f"expected a tweet in data[], found a {type(tweet).__name__}"
            yield Refusal(source, number, "record_not_json", reason)


def _parse_response(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_RESPONSE_BYTES:
        raise RefusedError(
            "record_too_long", f"expected a response of at most {MAX_RESPONSE_BYTES:,} bytes, found more"
        )
    response = parse_json(data.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(response, dict) or not response.keys() & {"data", "includes", "meta", "errors"}:
        raise RefusedError("record_not_json", "expected an X API v2 response (an object with data[]), found other JSON")
    return response


def _index_media(response: dict[str, Any]) -> dict[str, str]:
    """media_key -> type, as far as the response tells."""
    includes = response.get("includes")
    media = includes.get("media") if isinstance(includes, dict) else None
    known = media if isinstance(media, list) else []
    return {item["media_key"]: str(item.get("type")) for item in known if _has_media_key(item)}


def _has_media_key(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("media_key"), str)


def _read_tweet(
    tweet: dict[str, Any],
    media: dict[str, str],
    source: str,
    number: int,
    find_picture: Callable[[str], str | None],
) -> Candidate | Refusal:
    try:
        stem = resolve_key(_first_photo(tweet, media), source)
    except RefusedError as error:
        return Refusal(source, number, error.code, error.reason, describe_id(tweet.get("id")))
    assert stem is not None  # a media key is not empty
    key = find_picture(stem) or f"{stem}.{PICTURE_ENDINGS[0]}"
    return Candidate(
        source, number, tweet.get("id"), _full_text(tweet), key, tweet.get("created_at"), tweet.get("lang")
    )


def _first_photo(tweet: dict[str, Any], media: dict[str, str]) -> str:
    attachments = tweet.get("attachments")
    keys = attachments.get("media_keys") if isinstance(attachments, dict) else None
    if not isinstance(keys, list) or not keys:
        raise RefusedError("image_not_named", "expected a tweet with a photo, found one without attachments")
    for key in keys:
        if isinstance(key, str) and media.get(key) == "photo":
            if not key or posixpath.basename(key) != key:
                raise RefusedError("image_key_invalid", f"expected a media key, found {ascii(key)[:200]}")
            return key
    kinds = sorted({media.get(key, "not in includes.media") for key in keys if isinstance(key, str)})
    raise RefusedError(
        "image_not_named",
        f"expected a photo among the tweet's media, found: {', '.join(kinds)[:300] or 'none'}",
    )


def _full_text(tweet: dict[str, Any]) -> object:
    note = tweet.get("note_tweet")
    return note["text"] if isinstance(note, dict) and isinstance(note.get("text"), str) else tweet.get("text")
