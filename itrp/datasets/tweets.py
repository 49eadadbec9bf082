"""The landing contract: batches of tweets in whatever JSON collectors write, images beside them.

A response of X's API is a page of tweets: tweets in `data[]`, what they refer to in `includes`. Source: X API v2, data
dictionary (tweet, media): a photo's `media_key`, a tweet's `attachments.media_keys`. A page is a file of its own (`.json`),
or a line, as twarc2 writes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.data.validation import describe_id
from itrp.datasets.compressed import open_plain
from itrp.datasets.documents import iter_documents
from itrp.datasets.lines import ByteStream
from itrp.datasets.media import NAMING, index_media
from itrp.datasets.records import Context, is_tweet, read_record

_PARTS = {"data", "includes", "meta", "errors"}
_OWN = {"id", "id_str", "text", "full_text"}


def read_tweets(stream: ByteStream, source: str) -> Iterator[Candidate | Rejection]:
    """Read a batch file record by record, in bounded memory, recognised by what it holds and not by its ending.

    That is JSON Lines of tweets or of pages of X's API, one page, an array, or documents over several lines; plain, in
    gzip or in Zstandard. stream: the file, open for reading bytes. source: its key. Blank lines are no records.

    Records are numbered by their lines, as an editor counts them from 1, blank ones included. Where one line holds
    several, they are counted on from it: in a file of pages the numbers are the tweets' places.
    """
    last = 0
    try:
        for line, value in iter_documents(open_plain(stream)):
            for record in _read_value(value, source, max(line, last + 1)):
                last = record.line
                yield record
    except RejectedError as error:
        yield Rejection(source, last + 1, error.code, error.reason)


def _read_value(value: Any, source: str, number: int) -> Iterator[Candidate | Rejection]:
    """The records of one JSON value."""
    if isinstance(value, RejectedError):
        yield Rejection(source, number, value.code, value.reason)
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        for item in value:
            for record in _read_value(item, source, number):
                number = record.line + 1
                yield record
    elif not isinstance(value, dict):
        reason = f"expected a tweet as a JSON object, found a {type(value).__name__}"
        yield Rejection(source, number, "record_not_json", reason)
    elif _is_page(value):
        yield from _read_page(value, source, number)
    elif is_tweet(value):
        yield read_record(value, source, number)
    else:
        yield Rejection(source, number, "record_not_json", _describe_other(value))


def _describe_other(value: dict[str, Any]) -> str:
    fields = ", ".join(ascii(name)[1:-1][:40] for name in [*value][:8]) or "no fields"
    said = value.get("detail") or value.get("title")
    answer = f" ({said[:200]})" if isinstance(said, str) and said else ""
    return f"expected a tweet or a response of X's API with data[], found an object with {fields}{answer}"


def _is_page(value: Mapping[str, Any]) -> bool:
    """Whether an object is a response and no tweet."""
    return not _PARTS.isdisjoint(value) and _OWN.isdisjoint(value)


def _read_page(page: Mapping[str, Any], source: str, number: int) -> Iterator[Candidate | Rejection]:
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
