"""The landing contract: JSONL batches of tweets, one object a line, pictures beside them."""

import json
import posixpath
from collections.abc import Iterator
from typing import Any

from itrp.checks import describe_id
from itrp.datasets.lines import MAX_LINE_BYTES, ByteStream, iter_lines
from itrp.pairs import Candidate, Refusal
from itrp.refusals import RefusedError
from itrp.texts import is_utf8

MAX_KEY_BYTES = 1024
"""Longest key of an object (S3's limit), in bytes of UTF-8."""
MAX_NAME_BYTES = 255
"""Longest name between two slashes: a store in a folder cannot keep a longer one."""


def read_tweets(stream: ByteStream, source: str) -> Iterator[Candidate | Refusal]:
    """Read a batch file line by line, in bounded memory.

    stream: the JSONL file, open for reading bytes. source: its key. Blank lines are no records.
    Lines are numbered as an editor does, from 1, blank ones included.
    """
    for number, line in iter_lines(stream):
        if line is None:
            reason = f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one"
            yield Refusal(source, number, "record_too_long", reason)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _read_record(line, source, number)


def resolve_key(image: object, source: str) -> str | None:
    """The picture's key from the bucket's root, or None when the record names no picture.

    image: relative to the batch file's folder, or from the bucket's root when it begins with "/".
    Raises RefusedError, image_key_invalid, for a key that leads out of the bucket or cannot be one.
    """
    if image is None or image == "":
        return None
    if not isinstance(image, str):
        raise RefusedError(
            "image_key_invalid", f"expected the picture's key as a string, found a {type(image).__name__}"
        )
    if not is_utf8(image) or "\\" in image or any(ord(character) < 32 or ord(character) == 127 for character in image):
        raise RefusedError(
            "image_key_invalid",
            f"expected a key of printable characters with / between folders, found {ascii(image)[:200]}",
        )
    joined = image.lstrip("/") if image.startswith("/") else posixpath.join(posixpath.dirname(source), image)
    key = posixpath.normpath(joined)
    if key in (".", "..") or key.startswith("../"):
        raise RefusedError(
            "image_key_invalid",
            f"expected a key inside the store, found {image[:200]!r}, which leads out of it",
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise RefusedError(
            "image_key_invalid",
            f"expected a key of at most {MAX_KEY_BYTES} bytes, found {len(key.encode()):,}",
        )
    if max(len(segment.encode()) for segment in key.split("/")) > MAX_NAME_BYTES:
        raise RefusedError(
            "image_key_invalid",
            f"expected names of at most {MAX_NAME_BYTES} bytes between the slashes, found a longer one",
        )
    return key


def parse_json(data: bytes) -> Any:
    """The JSON value. Raises RefusedError with the code text_not_utf8 or record_not_json."""
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise RefusedError(
            "text_not_utf8",
            f"expected UTF-8, found another byte at position {error.start + 1}: save the batch as UTF-8",
        ) from error
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            "record_not_json", f"expected JSON, found what cannot be read as such: {str(error)[:200]}"
        ) from error


def _read_record(line: bytes, source: str, number: int) -> Candidate | Refusal:
    record: Any = None
    try:
        record = parse_json(line)
        if not isinstance(record, dict):
            raise RefusedError("record_not_json", f"expected a JSON object, found a {type(record).__name__}")
        key = resolve_key(record.get("image"), source)
    except RefusedError as error:
        tweet_id = describe_id(record.get("id")) if isinstance(record, dict) else None
        image = record.get("image") if isinstance(record, dict) else None
        return Refusal(source, number, error.code, error.reason, tweet_id, ascii(image)[1:-1] if image else None)
    return Candidate(
        source,
        number,
        record.get("id"),
        record.get("text"),
        key,
        record.get("created_at"),
        record.get("lang"),
    )
