"""What a WebP's container says (RFC 9649, sections 2.4 to 2.7): size, length, and whether its pixels stand in it."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL.WebPImagePlugin import WebPImageFile

from itrp.data.image_reading import Reading
from itrp.data.rejections import RejectedError

_LAST_BYTES = 8
"""Bytes at the end that may be missing and still decide no pixel."""
_SPARE_BYTES = {b"VP8 ": 4, b"VP8L": 2}
"""Bytes at the end that no decoder can do without, however little they hold."""
_RESERVED, _NEVER_LOSSLESS = bytes(16), bytes(64)
"""Zeros that may be room of a broken download, and that noise, of 2.5 bytes a pixel and more in lossless data, never holds."""
_FRAME_HEADER = 16


@dataclass(frozen=True)
class _Image:
    kind: bytes
    start: int
    end: int
    """Where its chunk's payload ends by its header, within the file or not."""


def read_webp(data: bytes) -> Reading:
    """The file as it is; when its last bytes are missing, completed so that only whole pixels pass.

    Raises RejectedError: image_truncated, or image_not_a_picture when the container holds no image.
    """
    if len(data) < 30:
        raise RejectedError("image_truncated", "expected a whole WebP file, found fewer bytes than a header has")
    size, image = _read_size(data), _find_image(data)
    missing = int.from_bytes(data[4:8], "little") + 8 - len(data)
    still = data[12:16] != b"VP8X" or not data[20] & 0b10
    if missing <= 0:
        versions: tuple[bytes, ...] = (data,)
    elif image is not None and image.end <= len(data) and still:
        versions = (_cut_after(data, image),)
    elif missing <= _LAST_BYTES:
        versions = (data + bytes(missing), data + b"\xff" * missing)
    else:
        raise RejectedError("image_truncated", "expected a whole WebP file, found fewer bytes than its header says")
    return Reading(versions, size=size, check_whole=lambda: _check_tail(data, image, size[0] * size[1]))


def _read_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    raise RejectedError("image_not_a_picture", f"expected a WebP picture, found a WebP file with the part {kind!r}")


def _iter_chunks(data: bytes) -> Iterator[_Image]:
    """Every chunk; of a frame of an animation the chunks inside."""
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        yield _Image(kind, place + 8, place + 8 + length)
        place += 8 + (_FRAME_HEADER if kind == b"ANMF" else length + length % 2)


def _find_image(data: bytes) -> _Image | None:
    """The chunk with the first image's pixels."""
    return next((chunk for chunk in _iter_chunks(data) if chunk.kind in _SPARE_BYTES), None)


def _cut_after(data: bytes, image: _Image) -> bytes:
    """Without what comes after the pixels, which is not whole."""
    body = data[8 : image.end] + bytes(image.end % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _check_tail(data: bytes, image: _Image | None, pixels: int) -> None:
    """Zeros at the end of the pixels are an encoder's when the decoder cannot do without them.

    A flat image may well end in thousands of zeros. A decoder that finds room reserved by a broken download reads on and
    makes up pixels, but it takes fewer bytes for them than were to come.
    """
    if image is None or not data[image.start : image.end].endswith(_RESERVED):
        return
    noise = image.kind == b"VP8L" and 2 * (image.end - image.start) >= 5 * pixels
    if noise and data[image.start : image.end].endswith(_NEVER_LOSSLESS):
        raise _reserved()
    payload = data[image.start : image.end - _SPARE_BYTES[image.kind]]
    body = b"WEBP" + image.kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
    try:
        WebPImageFile(io.BytesIO(b"RIFF" + struct.pack("<I", len(body)) + body)).load()
    except Exception:  # whatever it raises, it missed them
        return
    raise _reserved()


def _reserved() -> RejectedError:
    return RejectedError("image_truncated", "expected a whole WebP, zero bytes stand where its data goes on")
