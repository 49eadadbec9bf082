"""A JSON array of any length, element by element, in bounded memory."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from itrp.data.rejections import RejectedError
from itrp.datasets.json_values import MAX_RESPONSE_BYTES, starts_page
from itrp.datasets.lines import MAX_LINE_BYTES, ByteStream

_CHUNK = 256 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")


def iter_array(stream: ByteStream) -> Iterator[tuple[int, Any]]:
    """Yield (line on which the element begins, element) of one array, or of several one after the other.

    stream: at the first bracket, or at white space before it. Where the text stops being an array, a RejectedError is
    yielded in the element's place and nothing more: what follows cannot be told apart. A comma before the closing
    bracket is let pass. Bytes that are not UTF-8 become lone surrogates, which the check of the text rejects.
    """
    text = _Text(stream)
    try:
        while text.skip_space() == "[":
            text.take(1)
            yield from _iter_elements(text)
        if text.skip_space():
            raise RejectedError("record_not_json", f"expected the end of the file, found {text.excerpt()}")
    except RejectedError as error:
        yield text.line, error


def _iter_elements(text: "_Text") -> Iterator[tuple[int, Any]]:
    while (found := text.skip_space()) != "]":
        if not found:
            raise RejectedError(
                "record_not_json", "expected the array's closing bracket, found the end of the file: it was cut off"
            )
        line = text.line
        yield line, text.take_value()
        follows = text.skip_space()
        if follows == ",":
            text.take(1)
        elif follows and follows != "]":
            raise RejectedError("record_not_json", f"expected a comma or ] behind an element, found {text.excerpt()}")
    text.take(1)


class _Text:
    """The text of a stream, from the place that is read next."""

    def __init__(self, stream: ByteStream) -> None:
        self.line = 1
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._json = json.JSONDecoder()
        self._kept = ""
        self._place = 0
        self._ended = False

    def skip_space(self) -> str:
        """Go behind white space; the character that comes next, "" at the end."""
        while True:
            space = _SPACE.match(self._kept, self._place)
            assert space is not None  # it matches nothing, too
            self.take(space.end() - self._place)
            if self._place < len(self._kept) or not self._read_more():
                return self._kept[self._place : self._place + 1]

    def take(self, size: int) -> None:
        """Go on by so many characters."""
        self.line += self._kept.count("\n", self._place, self._place + size)
        self._place += size

    def take_value(self) -> Any:
        """The JSON value that comes next; in the place of one that is too long, a RejectedError.

        Raises RejectedError when there is none.
        """
        while True:
            try:
                value, end = self._json.raw_decode(self._kept, self._place)
            except (ValueError, RecursionError) as error:
                self._read_on_after(error)
                continue
            if end < len(self._kept) or not self._read_more():  # a number may go on behind what is read
                size, limit = end - self._place, self._limit()
                self.take(size)
                return value if size <= limit else _reject_length(limit)

    def excerpt(self) -> str:
        """What comes next, for people."""
        return ascii(self._kept[self._place : self._place + 40])

    def _read_on_after(self, error: Exception) -> None:
        """Read at least as much again, so that a long value is not begun too often; raise when that is in vain."""
        size = len(self._kept) - self._place
        if size > 2 * self._limit():
            raise _reject_length(self._limit()) from error
        while not self._ended and len(self._kept) - self._place <= 2 * size:
            self._read_more()
        if self._ended and len(self._kept) - self._place == size:
            raise RejectedError(
                "record_not_json",
                f"expected JSON, found what cannot be read as such: {str(error)[:200]}; the array is not read further",
            ) from error

    def _limit(self) -> int:
        """Characters that the value which comes next may have."""
        page = starts_page(self._kept[self._place : self._place + 200].encode("utf-8", "replace"))
        return MAX_RESPONSE_BYTES if page else MAX_LINE_BYTES

    def _read_more(self) -> bool:
        """Read a piece; False at the end."""
        if self._ended:
            return False
        data = self._stream.read(_CHUNK)
        self._ended = not data
        self._kept = self._kept[self._place :] + self._decoder.decode(data, final=self._ended)
        self._place = 0
        return not self._ended


def _reject_length(limit: int) -> RejectedError:
    return RejectedError("record_too_long", f"expected elements of at most {limit:,} bytes, found a longer one")
