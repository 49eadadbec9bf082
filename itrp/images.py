"""Pictures: decode, check, resize. The one place where picture bytes meet a decoder.

The pixels are those of Pillow's full decoding (no JPEG draft mode), so they equal torchvision's on PIL; a model may ask for
torchvision's own decoder instead (`PixelFormat.decoder`).
Pillow's global switches stay untouched: formats are chosen by content and opened by their own class, and the
pixel limit is judged here from the header: nothing depends on process-wide state, threads may share this.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from itrp.pixel_format import PixelFormat
from itrp.refusals import RefusedError

MAX_PIXELS = 50_000_000
"""Largest picture accepted, width times height; X itself scales down to 4096 x 4096."""
MAX_BYTES = 20 * 1024 * 1024
"""Largest file accepted, in bytes; X's own limit is 5 MB for photos and 15 MB for GIFs."""

EXIF_ORIENTATION = 0x0112
ROTATIONS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright (EXIF 2.32, tag 0x0112)."""

_Opener = Callable[[io.BytesIO], ImageFile.ImageFile]


def check_image(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> None:
    """Decode the first frame fully and forget it.

    Raises RefusedError: image_empty, image_not_a_picture, image_truncated or image_too_large.
    """
    if not data:
        raise RefusedError("image_empty", "expected a picture, found an object of zero bytes: upload the picture again")
    if len(data) > max_bytes:
        raise RefusedError(
            "image_too_large",
            f"expected a picture of at most {max_bytes:,} bytes, found {len(data):,} or more",
        )
    _load_first_frame(data, max_pixels)


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame as an upright RGB picture; what is transparent becomes white.

    Raises RefusedError with the codes of `check_image`.
    """
    if not data:
        raise RefusedError("image_empty", "expected a picture, found zero bytes")
    frame = _load_first_frame(data, max_pixels)
    return _turn_upright(_to_rgb(frame), _read_orientation(frame))


def load_pixels(data: bytes, form: PixelFormat) -> NDArray[np.uint8]:
    """[size, size, 3] uint8 RGB: the whole picture resized without a crop, bilinear with antialiasing.

    Pillow's equal torchvision's `Resize((size, size))` on the PIL picture. Raises RefusedError like `decode_image`.
    """
    if form.decoder == "torchvision" and _is_plain_jpeg(data):
        pixels = _load_by_torchvision(data, form.size)
        if pixels is not None:
            return pixels
    resized = decode_image(data).resize((form.size, form.size), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _is_plain_jpeg(data: bytes) -> bool:
    """By its header: in colour, upright, not too large. All else is Pillow's, and so is what cannot be read."""
    if _find_opener(data) is not JpegImageFile:
        return False
    try:
        header = JpegImageFile(io.BytesIO(data))
    except Exception:
        return False
    width, height = header.size
    return header.mode == "RGB" and width * height <= MAX_PIXELS and _read_orientation(header) not in ROTATIONS


def _load_by_torchvision(data: bytes, size: int) -> NDArray[np.uint8] | None:
    """What `load_pixels` promises; None for a file that its decoder does not read."""
    # heavy, and Pillow's pixels need none of it
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        picture = decode_jpeg(torch.from_numpy(np.frombuffer(bytearray(data), np.uint8)), ImageReadMode.RGB)
    except RuntimeError:
        return None
    with torch.inference_mode():
        resized = torch.nn.functional.interpolate(picture[None], (size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _load_first_frame(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """Open by content, judge the size from the header, then decode."""
    opener = _find_opener(data)
    if opener is None:
        raise RefusedError("image_not_a_picture", f"expected a JPEG, PNG, GIF or WebP, found {_describe_content(data)}")
    buffer = io.BytesIO(data)
    try:
        if opener is WebPImageFile:
            # Its constructor already reserves room for two whole frames: judge before opening.
            _check_webp_header(data, max_pixels)
        frame = opener(buffer)
        _check_pixels(frame.size, max_pixels)
        frame.load()
    except (RefusedError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedError("image_too_large", f"expected at most {max_pixels:,} pixels: {error}") from error
    except Exception as error:
        # A decoder may raise anything on a hostile file, and all of it is about the file.
        raise _explain_decoding_error(error, ended=buffer.tell() >= len(data)) from error
    return frame


def _find_opener(data: bytes) -> _Opener | None:
    """The class that opens this content; MPO is a JPEG whose first picture is the one to take."""
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImageFile
    return None


def _describe_content(data: bytes) -> str:
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page: the download answered with a page instead of the picture"
    if head.startswith((b"<?xml", b"<svg", b"<error")):
        return "XML: an error answer or an SVG drawing"
    if head.startswith((b"{", b"[")):
        return "JSON: an error answer instead of the picture"
    if data[4:8] == b"ftyp":
        return "an ISO media file (MP4, HEIC or AVIF): convert it first"
    return f"content that begins with the bytes {data[:8].hex(' ')}"


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise RefusedError(
            "image_too_large",
            f"expected at most {max_pixels:,} pixels, the header says {width:,} x {height:,}",
        )


def _check_webp_header(data: bytes, max_pixels: int) -> None:
    """Length and size as the container states them (RFC 9649, sections 2.4 to 2.7)."""
    if len(data) < 30 or len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise RefusedError("image_truncated", "expected a whole WebP file, found fewer bytes than its header says")
    kind = data[12:16]
    if kind == b"VP8X":
        size = (int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    elif kind == b"VP8 ":
        size = (
            int.from_bytes(data[26:28], "little") & 0x3FFF,
            int.from_bytes(data[28:30], "little") & 0x3FFF,
        )
    else:
        raise RefusedError("image_not_a_picture", f"expected a WebP picture, found a WebP file with the part {kind!r}")
    _check_pixels(size, max_pixels)


def _explain_decoding_error(error: Exception, *, ended: bool) -> RefusedError:
    """Truncated when the decoder ran out of bytes, else damaged."""
    detail = str(error)[:200] or type(error).__name__
    if ended or "truncated" in detail.lower():
        return RefusedError("image_truncated", f"expected a whole picture, its data ends too early: {detail}")
    return RefusedError("image_not_a_picture", f"expected a picture that decodes, its data is damaged: {detail}")


def _to_rgb(frame: Image.Image) -> Image.Image:
    if frame.mode.startswith("I"):
        return _grey16_to_rgb(frame)
    if frame.has_transparency_data:
        layer = frame.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return frame.convert("RGB")


def _grey16_to_rgb(frame: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey at 255 when it converts; the upper byte is what a viewer shows."""
    values = np.asarray(frame).astype(np.int64)
    grey = (values >> 8).clip(0, 255).astype(np.uint8)
    transparent = frame.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _read_orientation(frame: ImageFile.ImageFile) -> int:
    """EXIF orientation, 1 when there is none or the EXIF block is damaged (the picture itself is not)."""
    try:
        return int(frame.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # the EXIF parser raises anything on a damaged block
        return 1


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    rotation = ROTATIONS.get(orientation)
    return image if rotation is None else image.transpose(rotation)
