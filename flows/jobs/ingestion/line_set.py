"""Many line numbers in little memory: a bit a line, packed for the catalog."""

import zlib
from collections.abc import Iterator

import numpy as np

_PIECE = 1 << 16


class LineSet:
    """A growing set of line numbers. Memory: the highest number in it, in bits; ten million lines take 1.2 MiB."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, line: int) -> bool:
        place = line >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (line & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        """The lines in ascending order."""
        for start in range(0, len(self._bits), _PIECE):
            piece = np.frombuffer(bytes(self._bits[start : start + _PIECE]), dtype=np.uint8)
            yield from (np.flatnonzero(np.unpackbits(piece, bitorder="little")) + 8 * start).tolist()

    def add(self, line: int) -> None:
        """Put a line in; one that is in stays so."""
        if line in self:
            return
        place = line >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(max(place + 1, 2 * len(self._bits)) - len(self._bits)))
        self._bits[place] |= 1 << (line & 7)
        self._count += 1

    def pack(self) -> bytes:
        """The set as compressed bytes."""
        return zlib.compress(bytes(self._bits), 6)

    @classmethod
    def unpack(cls, data: bytes) -> "LineSet":
        """The set that `pack` wrote."""
        lines = cls()
        lines._bits = bytearray(zlib.decompress(data))
        lines._count = int(np.bitwise_count(np.frombuffer(bytes(lines._bits), dtype=np.uint8)).sum())
        return lines
