"""JSON as collectors write it: what a line or a whole file holds, and why it cannot be read."""

import json
import re
from typing import Any

from itrp.data.rejections import RejectedError

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Largest response of an API that is read; one of 100 tweets has less than 1 MiB."""

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]')
_SPACE = re.compile(r"\s*")
_PAGE = re.compile(rb'\s*(?:\[|\{\s*"(?:data|includes|meta|errors|__twarc)"\s*:)')


def parse_values(data: bytes) -> list[Any]:
    """The JSON values of a line: one, or several objects one after the other.

    Raises RejectedError with the code text_not_utf8 or record_not_json.
    """
    try:
        text = data.decode()
        return [json.loads(text)]
    except UnicodeDecodeError as error:
        raise _reject_bytes(error) from error
    except json.JSONDecodeError as error:
        values = _split_values(text) if error.msg == "Extra data" else []
        if not values:
            raise _reject_json(error) from error
        return values
    except (ValueError, RecursionError) as error:
        raise _reject_json(error) from error


def is_beginning(line: bytes) -> bool:
    """Whether a line is the beginning of a JSON value that goes on behind it."""
    try:
        text = line.decode().rstrip()
        json.loads(text)
    except json.JSONDecodeError as error:
        # In a string or a word that breaks off, the fault lies before the end: neither goes on in the next line.
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


def is_whole(text: bytes) -> bool:
    """Whether a text is whole JSON: one value, or several objects."""
    try:
        return bool(parse_values(text))
    except RejectedError:
        return False


def starts_page(beginning: bytes) -> bool:
    """Whether a line that begins so may hold many tweets."""
    return _PAGE.match(beginning) is not None


def count_open(line: bytes) -> int:
    """Brackets that the line opens, less those it closes; brackets in strings do not count."""
    return sum(
        0 if match[0].startswith(b'"') else 1 if match[1] is not None else -1 for match in _BRACKETS.finditer(line)
    )


def _split_values(text: str) -> list[Any]:
    """The objects that a text consists of; none unless it consists of nothing else."""
    values: list[Any] = []
    place, decoder = 0, json.JSONDecoder()
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            if not isinstance(value, dict):
                return []
            values.append(value)
            place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return []
    return values


def _reject_bytes(error: UnicodeDecodeError) -> RejectedError:
    return RejectedError(
        "text_not_utf8",
        f"expected UTF-8, found another byte at position {error.start + 1}: save the batch as UTF-8",
    )


def _reject_json(error: Exception) -> RejectedError:
    return RejectedError("record_not_json", f"expected JSON, found what cannot be read as such: {str(error)[:200]}")
