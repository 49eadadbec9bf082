"""Responses of X's API, each a page of tweets: tweets in `data[]`, what they refer to in `includes`.

Source: X API v2, data dictionary (tweet, media): a photo's `media_key`, a tweet's `attachments.media_keys`. A page is a
file of its own (`.json`), or a line, as twarc2 writes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from itrp.data.pairs import Candidate, Rejection
from itrp.data.validation import describe_id
from itrp.datasets.media import NAMING, index_media
from itrp.datasets.records import Context, read_record

_PARTS = {"data", "includes", "meta", "errors"}
_OWN = {"id", "id_str", "text", "full_text"}


def is_page(value: Mapping[str, Any]) -> bool:
    """Whether an object is a response and no tweet."""
    return not _PARTS.isdisjoint(value) and _OWN.isdisjoint(value)


def read_page(page: Mapping[str, Any], source: str, number: int) -> Iterator[Candidate | Rejection]:
    """One record a tweet of `data[]`, with its first photo, numbered from `number` on."""
    includes = page.get("includes")
    context = Context(index_media(includes), _index_tweets(includes))
    tweets = page.get("data") or []
    for place, tweet in enumerate(tweets if isinstance(tweets, list) else [tweets], start=number):
        if not isinstance(tweet, dict):
            reason = f"expected a tweet in data[], found a {type(tweet).__name__}"
            yield Rejection(source, place, "record_not_json", reason)
            continue
        found = read_record(tweet, source, place, context)
        if isinstance(found, Candidate) and found.image_key is None:
            yield _reject_without_photo(found, tweet)
        else:
            yield found


def _reject_without_photo(candidate: Candidate, tweet: Mapping[str, Any]) -> Rejection:
    found = "no media" if tweet.get("attachments") else "one without attachments"
    reason = f"expected a tweet with a photo, found {found}; {NAMING}"
    return Rejection(candidate.source, candidate.line, "image_not_named", reason, describe_id(candidate.id))


def _index_tweets(includes: object) -> dict[str, dict[str, Any]]:
    """Tweet id -> tweet, of those that the page's tweets refer to."""
    tweets = includes.get("tweets") if isinstance(includes, dict) else None
    known = [item for item in tweets if isinstance(item, dict)] if isinstance(tweets, list) else []
    return {str(item["id"]): item for item in known if "id" in item}
