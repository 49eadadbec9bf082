"""Lines of a file of any size, in bounded memory."""

from collections.abc import Callable, Iterator
from typing import Protocol

MAX_LINE_BYTES = 1024 * 1024
"""Longest line that is kept; no tweet comes near."""
_CHUNK = 256 * 1024


class ByteStream(Protocol):
    """What is read here: anything with `read(n)`."""

    def read(self, n: int, /) -> bytes:
        """At most n bytes, empty at the end."""
        ...


def iter_lines(
    stream: ByteStream,
    limit: int = MAX_LINE_BYTES,
    *,
    may_be_longer: Callable[[bytes], bool] = lambda _: False,
    longest: int = MAX_LINE_BYTES,
) -> Iterator[tuple[int, bytes | None]]:
    """Yield (1-based line number, line without its ending), None for a line of more than `limit` bytes.

    Only \\n and \\r\\n end a line: a tweet may hold any of Unicode's other line separators. A line of which
    `may_be_longer` is true, asked with its beginning, may have `longest` bytes instead.
    """
    number, kept, too_long, own_limit = 1, bytearray(), False, limit
    while chunk := stream.read(_CHUNK):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            kept += part
            if len(kept) > own_limit + 1 and may_be_longer(bytes(kept[:_CHUNK])):
                own_limit = longest
            yield number, None if too_long or len(kept) > own_limit + 1 else _strip_return(kept, own_limit)
            number, kept, too_long, own_limit = number + 1, bytearray(), False, limit
        if not too_long:
            kept += rest
            # One byte of grace for a \r that belongs to the ending.
            if len(kept) > own_limit + 1 and may_be_longer(bytes(kept[:_CHUNK])):
                own_limit = longest
            too_long = len(kept) > own_limit + 1
            if too_long:
                kept = bytearray()
    if kept or too_long:
        yield number, None if too_long else _strip_return(kept, own_limit)


def _strip_return(line: bytearray, limit: int) -> bytes | None:
    stripped = bytes(line[:-1] if line.endswith(b"\r") else line)
    return stripped if len(stripped) <= limit else None
