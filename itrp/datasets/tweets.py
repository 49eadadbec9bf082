"""The landing contract: batches of tweets in whatever JSON collectors write, pictures beside them."""

from collections.abc import Iterator
from typing import Any

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.datasets.compressed import open_plain
from itrp.datasets.documents import iter_documents
from itrp.datasets.lines import ByteStream
from itrp.datasets.records import is_tweet, read_record
from itrp.datasets.x_api import is_page, read_page


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
    elif is_page(value):
        yield from read_page(value, source, number)
    elif is_tweet(value):
        yield read_record(value, source, number)
    else:
        yield Rejection(source, number, "record_not_json", _describe_other(value))


def _describe_other(value: dict[str, Any]) -> str:
    fields = ", ".join(ascii(name)[1:-1][:40] for name in [*value][:8]) or "no fields"
    said = value.get("detail") or value.get("title")
    answer = f" ({said[:200]})" if isinstance(said, str) and said else ""
    return f"expected a tweet or a response of X's API with data[], found an object with {fields}{answer}"
