"""Lines of a file of any size, in bounded memory."""

from collections.abc import Iterator
from typing import Protocol

MAX_LINE_BYTES = 1024 * 1024
"""Longest line that is kept; no tweet comes near."""
_CHUNK = 256 * 1024


class ByteStream(Protocol):
    """What is read here: anything with `read(n)`."""

    def read(self, n: int, /) -> bytes:
        """At most n bytes, empty at the end."""
        ...


def iter_lines(stream: ByteStream, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """Yield (1-based line number, line without its ending), None for a line of more than `limit` bytes.

    Only \\n and \\r\\n end a line: a tweet may hold any of Unicode's other line separators.
    """
    number, kept, too_long = 1, bytearray(), False
    while chunk := stream.read(_CHUNK):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            kept += part
            yield number, None if too_long or len(kept) > limit + 1 else _strip_return(kept, limit)
            number, kept, too_long = number + 1, bytearray(), False
        if not too_long:
            kept += rest
            # One byte of grace for a \r that belongs to the ending.
            too_long = len(kept) > limit + 1
            if too_long:
                kept = bytearray()
    if kept or too_long:
        yield number, None if too_long else _strip_return(kept, limit)


def _strip_return(line: bytearray, limit: int) -> bytes | None:
    stripped = bytes(line[:-1] if line.endswith(b"\r") else line)
    return stripped if len(stripped) <= limit else None
