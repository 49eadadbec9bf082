"""One tweet's record, whoever wrote it: of its fields that tell the same thing, the best one wins.

Sources: X API v2 (`note_tweet`, `referenced_tweets`), v1.1 (`full_text`, `extended_tweet`, `retweeted_status`), the
contract's own fields, snscrape (`rawContent`), twint (`tweet`), and Zeeschuimer's and 4CAT's `legacy`.
"""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.data.texts import is_utf8, unescape_once
from itrp.data.validation import describe_id
from itrp.datasets.media import Media, find_image_keys

_TEXTS = ("full_text", "rawContent", "text", "content", "tweet", "renderedContent")
_IDS = ("id_str", "id", "tweet_id", "tweetId", "status_id", "rest_id")
_TIMES = ("created_at", "createdAt", "date", "timestamp_ms")
_KNOWN = {*_TEXTS, *_IDS, "image", "legacy", "extended_tweet", "note_tweet", "attachments"}


@dataclass(frozen=True, slots=True)
class Context:
    """What the response around a record tells of it."""

    media: Mapping[str, Media] = field(default_factory=dict)
    """Media key -> media."""
    tweets: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Tweet id -> tweet, of those that others refer to."""


ALONE = Context()
"""Of a record that stands by itself."""


def is_tweet(record: Mapping[str, Any]) -> bool:
    """Whether an object has any field of a tweet."""
    return not _KNOWN.isdisjoint(record)


def read_record(record: dict[str, Any], source: str, number: int, context: Context = ALONE) -> Candidate | Rejection:
    """The tweet of a record, or why it is none."""
    record = _merge_legacy(record)
    original = _find_original(record, context)
    tweet_id = _find_id(record)
    try:
        text = _find_text(record, original)
        keys = find_image_keys(record, source, context.media)
        if not keys and original is not None:
            keys = find_image_keys(original, source, context.media)
    except RejectedError as error:
        image = record.get("image")
        shown = ascii(image)[1:-1] if image else None
        return Rejection(source, number, error.code, error.reason, describe_id(tweet_id), shown)
    return Candidate(
        source=source,
        line=number,
        id=tweet_id,
        text=text,
        image_key=keys[0] if keys else None,
        created_at=next((record[name] for name in _TIMES if record.get(name) not in (None, "")), None),
        lang=record.get("lang") or record.get("language"),
        other_keys=keys[1:],
        former_texts=tuple(_former_texts(record, text)),
    )


def _merge_legacy(record: dict[str, Any]) -> dict[str, Any]:
    """A record of X's own pages with its `legacy` part on top."""
    legacy = record.get("legacy")
    return {**record, **legacy} if isinstance(legacy, dict) else record


def _find_id(record: Mapping[str, Any]) -> object:
    """`id_str` over `id`: JavaScript and spreadsheets round the number."""
    return next((record[name] for name in _IDS if record.get(name) not in (None, "")), None)


def _find_original(record: Mapping[str, Any], context: Context) -> dict[str, Any] | None:
    """The tweet that this one is a retweet of, as far as the record or the response tells it."""
    for name in ("retweeted_status", "retweetedTweet"):
        if isinstance(record.get(name), dict):
            return _merge_legacy(record[name])
    referenced = record.get("referenced_tweets")
    for item in referenced if isinstance(referenced, list) else []:
        if isinstance(item, dict) and item.get("type") == "retweeted":
            found = item if _own_text(item) is not None else context.tweets.get(str(item.get("id")))
            return found if found is not None and _own_text(found) is not None else None
    return None


def _find_text(record: Mapping[str, Any], original: Mapping[str, Any] | None) -> object:
    """The whole text, with its entities as characters. Raises RejectedError, text_missing, for one that was cut."""
    retold = _own_text(original) if original is not None else None
    text = retold if retold is not None else _own_text(record)
    teller = original if retold is not None and original is not None else record
    if teller.get("truncated") is True and text == teller.get("text"):
        raise RejectedError(
            "text_missing",
            "expected the whole text, found one that was cut after 140 characters (truncated: true, without "
            "extended_tweet): collect with tweet_mode=extended",
        )
    return unescape_once(text) if isinstance(text, str) else text


def _own_text(record: Mapping[str, Any]) -> object:
    """The text a record tells of itself; None when it tells none."""
    note, extended = record.get("note_tweet"), record.get("extended_tweet")
    if isinstance(note, dict) and isinstance(note.get("text"), str):
        return note["text"]
    if isinstance(extended, dict) and isinstance(extended.get("full_text"), str):
        return extended["full_text"]
    return next((record[name] for name in _TEXTS if record.get(name) is not None), None)


def _former_texts(record: Mapping[str, Any], text: object) -> Iterator[str]:
    """What versions that knew only `text` and `note_tweet`, and left entities as they are, stored of this tweet.

    The last one is of a tweet that they had from the API, and that comes from a scraper now.
    """
    note = record.get("note_tweet")
    escaped = html.escape(text, quote=False) if isinstance(text, str) else None
    for former in (note.get("text") if isinstance(note, dict) else None, record.get("text"), escaped):
        if isinstance(former, str) and former != text and is_utf8(former):
            yield former
