"""What a PNG's chunks say (ISO/IEC 15948): the ones that decide the pixels, and whether all rows stand in them.

A damaged or huge metadata chunk decides no pixel: it is left out before the decoder sees the file.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from itrp.data.image_reading import Reading
from itrp.data.rejections import RejectedError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DECIDING = (b"IHDR", b"PLTE", b"tRNS")
_ORIENTING_TEXTS = (b"exif", b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Keys of text chunks that may turn the image."""
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples in a pixel."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, and steps of the passes of an interlaced image."""
_PIECE, _INFLATED = 1 << 16, 1 << 20
"""Bytes given to the inflater, and taken from it, at once."""
_RESERVED = bytes(16)


@dataclass
class _Parts:
    """What of a file decides its pixels, and what may turn them."""

    deciding: dict[bytes, bytes] = field(default_factory=dict)
    """Kind -> body; of several the last one counts, as for the decoder."""
    orienting: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    """(kind, key of a text) -> body."""
    rows: bytearray = field(default_factory=bytearray)
    """The compressed rows of the first image."""
    rows_sound: bool = True
    """Their checksums are right, so that nothing happened to them after they were written."""


def read_png(data: bytes) -> Reading:
    """Only what decides pixels and orientation.

    Raises RejectedError (image_not_a_picture) for a damaged header, palette or transparency.
    """
    parts = _sort_parts(data)
    if len(parts.deciding.get(b"IHDR", b"")) < 13:
        raise _damaged("it does not begin with a header")
    _check_palette(parts)
    deciding = [(kind, parts.deciding[kind]) for kind in _DECIDING if kind in parts.deciding]
    orienting = [(kind, body) for (kind, _), body in parts.orienting.items()]
    rows = (b"IDAT", bytes(parts.rows))
    return Reading(
        (_join([*deciding, *orienting, rows]),),
        pixels_only=_join([*deciding, rows]) if orienting else None,
        check_whole=lambda: _check_rows(parts),
    )


def _sort_parts(data: bytes) -> _Parts:
    parts = _Parts()
    for kind, body, checksum in _iter_chunks(data):
        key = _find_orienting_key(kind, body)
        sound = checksum == struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
        if kind == b"IDAT":
            parts.rows += body
            parts.rows_sound = parts.rows_sound and sound
        elif kind in _DECIDING and sound:
            parts.deciding[kind] = body
        elif kind in _DECIDING and not checksum.strip(b"\0"):
            raise RejectedError("image_truncated", f"expected a whole PNG, it ends within its part {kind.decode()}")
        elif kind in _DECIDING:
            raise _damaged(f"the checksum of its part {kind.decode()} is wrong")
        elif key is not None and sound:
            parts.orienting.pop(key, None)
            parts.orienting[key] = body
    return parts


def _iter_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, body and checksum up to the end chunk, or as far as the file goes: the last one may be cut."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IEND" or not kind.isalpha():
            return
        end = place + 8 + length
        yield kind, data[place + 8 : end], data[end : end + 4]
        place = end + 4


def _find_orienting_key(kind: bytes, body: bytes) -> tuple[bytes, bytes] | None:
    """What tells a chunk that may turn the image from the others of its kind; None for one that does not."""
    if kind == b"eXIf":
        return kind, b""
    key = body[:80].split(b"\0", 1)[0]
    return (kind, key) if kind in _TEXTS and key in _ORIENTING_TEXTS else None


def _join(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    pieces = [SIGNATURE]
    for kind, body in (*chunks, (b"IEND", b"")):
        pieces += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))]
    return b"".join(pieces)


def _check_palette(parts: _Parts) -> None:
    if parts.deciding[b"IHDR"][9] != 3:
        return
    palette, alphas = len(parts.deciding.get(b"PLTE", b"")), len(parts.deciding.get(b"tRNS", b""))
    if palette == 0:
        raise _damaged("its pixels are numbers of colours, and it has no palette that says which")
    if palette % 3 or palette > 3 * 256:
        raise _damaged(f"expected a palette of 1 to 256 colours, found {palette:,} bytes of one")
    if alphas > palette // 3:
        raise _damaged(f"expected at most {palette // 3} transparencies, one a colour of its palette, found {alphas:,}")


def _check_rows(parts: _Parts) -> None:
    """A decoder may leave the rows it does not find black, and stop before the checksum behind the last."""
    expected = _count_row_bytes(parts.deciding[b"IHDR"])
    try:
        found = _inflate(parts, expected)
    except zlib.error as error:
        if parts.rows.endswith(_RESERVED):
            raise RejectedError(
                "image_truncated", "expected a whole PNG, zero bytes stand where its rows go on"
            ) from error
        raise _damaged(str(error)) from error
    if found < expected:
        raise RejectedError("image_truncated", f"expected {expected:,} bytes of rows, the PNG ends after {found:,}")


def _inflate(parts: _Parts, expected: int) -> int:
    """Bytes of rows, of which none is kept. Unless their chunks' checksums vouch for them, their own has to.

    A decoder that reads zeros makes up rows without end.
    """
    inflater, found = zlib.decompressobj(), 0
    enough = expected if parts.rows_sound else expected + 1
    for start in range(0, len(parts.rows), _PIECE):
        pending = bytes(parts.rows[start : start + _PIECE])
        while pending and found < enough and not inflater.eof:
            found += len(inflater.decompress(pending, _INFLATED))
            pending = inflater.unconsumed_tail
    if found < expected:
        found += len(inflater.flush())
    elif found >= enough and not parts.rows_sound and not inflater.eof:
        raise zlib.error("the rows go on after the last")
    return found


def _count_row_bytes(header: bytes) -> int:
    """Bytes of all rows, each with its filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _SAMPLES.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)


def _damaged(detail: str) -> RejectedError:
    return RejectedError("image_not_a_picture", f"expected a PNG that decodes, its data is damaged: {detail}")
