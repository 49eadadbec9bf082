"""Batch files as their plain bytes: gzip and Zstandard are known by their first bytes, not by their ending.

Both are read to their end whatever the number of their parts (collectors append a new one to a file that is there),
and never held whole: a small file that unpacks to gigabytes costs time, not memory. Not bzip2 and xz: Python's readers
of these end without an error where a part is broken.
"""

import gzip
import zlib
from typing import Any

import pyarrow as pa

from itrp.data.rejections import RejectedError
from itrp.datasets.lines import ByteStream

_MAGIC: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_PIECE = 512
_DAMAGE = (EOFError, zlib.error, pa.ArrowInvalid, OSError)
LONGEST_MAGIC = max(map(len, _MAGIC))


class PeekedStream:
    """A stream whose first bytes can be looked at before they are read."""

    closed = False

    def __init__(self, stream: ByteStream, head: bytes = b"") -> None:
        self._stream = stream
        self._head = head
        self._damage: RejectedError | None = None

    def peek(self, size: int) -> bytes:
        """The next bytes, at least `size` of them unless the stream ends, or is damaged, before."""
        try:
            while len(self._head) < size and (more := self._stream.read(size - len(self._head))):
                self._head += more
        except RejectedError as error:
            self._damage = error  # what lies before it can be read first
        return self._head

    def read(self, n: int = -1, /) -> bytes:
        """At most n bytes, empty at the end."""
        if self._head:
            taken, self._head = (self._head, b"") if n < 0 else (self._head[:n], self._head[n:])
            return taken
        if self._damage:
            raise self._damage
        return self._stream.read(n)

    def readable(self) -> bool:
        """True: pyarrow asks."""
        return True

    def close(self) -> None:
        """Leave the stream open: whoever opened it closes it."""


class _PlainStream:
    """What a decompressor gives, with a rejection where the compressed data are damaged."""

    def __init__(self, inner: Any, kind: str) -> None:
        # read1 and small pieces: what is asked for at once is dropped when the data break off within it.
        self._read = inner.read1 if kind == "gzip" else self._read_pieces
        self._inner = inner
        self._kind = kind
        self._damage: RejectedError | None = None

    def read(self, n: int, /) -> bytes:
        if self._damage:
            raise self._damage
        try:
            return bytes(self._read(n))
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's own, which says nothing about the file
            raise self._reject(error) from error

    def _read_pieces(self, n: int) -> bytes:
        """At most n bytes, asked for in pieces: of what lies before a damage, at most one piece is lost."""
        parts: list[bytes] = []
        try:
            for _ in range(0, n, _PIECE):
                parts.append(self._inner.read(min(n, _PIECE)))
                if not parts[-1]:
                    break
        except _DAMAGE as error:
            if not any(parts) or (isinstance(error, OSError) and error.errno is not None):
                raise
            self._damage = self._reject(error)
        return b"".join(parts)

    def _reject(self, error: Exception) -> RejectedError:
        return RejectedError(
            "batch_damaged",
            f"expected {self._kind} data up to the file's end, found them damaged or cut off ({str(error)[:120]}): "
            "the records before this place are read; copy the file again, under another name",
        )


def open_plain(stream: ByteStream) -> PeekedStream:
    """The plain bytes of a batch file, compressed or not.

    Reading from it raises RejectedError, batch_damaged, where compressed data end too early or are broken; whatever
    the stream itself raises is passed on.
    """
    packed = PeekedStream(stream)
    head = packed.peek(LONGEST_MAGIC)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    return PeekedStream(_PlainStream(_open(packed, kind), kind)) if kind else packed


def _open(packed: Any, kind: str) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=packed)
    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
