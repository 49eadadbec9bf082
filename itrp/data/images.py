"""Images: decode, check, resize. The one place where image bytes meet a decoder.

The pixels are those of Pillow's full decoding (no JPEG draft mode), so they equal torchvision's on PIL; a model may ask for
torchvision's own decoder instead (`PixelFormat.decoder`).
Pillow's global switches stay untouched: formats are chosen by content and opened by their own class, and the
pixel limit is judged here from the header. Threads may share this; they wait for each other's memory (`decoding_memory`).
"""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from itrp.data.decoding_memory import MEMORY_BUDGET, ROOM, check_memory
from itrp.data.image_reading import Reading
from itrp.data.jpeg_files import read_jpeg
from itrp.data.png_files import read_png
from itrp.data.rejections import RejectedError
from itrp.data.webp_files import read_webp
from itrp.pixel_format import PixelFormat

MAX_PIXELS = 50_000_000
"""Largest image accepted, width times height; X itself scales down to 4096 x 4096."""
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
"""EXIF orientation -> what makes the image upright (EXIF 2.32, tag 0x0112)."""

_Opener = Callable[[io.BytesIO], ImageFile.ImageFile]

_READERS: dict[_Opener, Callable[[bytes], Reading]] = {
    JpegImageFile: read_jpeg,
    PngImageFile: read_png,
    WebPImageFile: read_webp,
}
"""What looks at a file before its decoder does; of a GIF the decoder notices all there is."""
_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Pillow's bytes of a pixel by mode; four in all others."""
_WEBP_BYTES = 16
"""Of a pixel of a WebP: libwebp's two canvases, the image taken from them, and Pillow's."""
_STRIP_PIXELS = 1 << 20
"""Pixels converted at a time: more would need room for whole copies of the image."""


def check_image(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> None:
    """Decode the image exactly as scoring does, and forget it.

    Raises RejectedError: image_empty, image_not_a_picture, image_truncated or image_too_large.
    """
    if len(data) > max_bytes:
        raise RejectedError(
            "image_too_large",
            f"expected a picture of at most {max_bytes:,} bytes, found {len(data):,} or more",
        )
    decode_image(data, max_pixels=max_pixels)


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame as an upright RGB image; what is transparent becomes white.

    Takes at most MEMORY_BUDGET bytes of memory, and waits while others take what there is for all (`decoding_memory`).
    An image is accepted when every pixel stands in the file: missing or damaged metadata, later frames and end marks (the last
    bytes of a JPEG, PNG, GIF or WebP) reject none, and one missing pixel rejects it, whether the file is cut or zeros stand in
    the place of the rest.

    Raises RejectedError with the codes of `check_image`.
    """
    if not data:
        raise RejectedError(
            "image_empty", "expected a picture, found an object of zero bytes: upload the picture again"
        )
    opener = _find_opener(data)
    if opener is None:
        raise RejectedError(
            "image_not_a_picture", f"expected a JPEG, PNG, GIF or WebP, found {_describe_content(data)}"
        )
    reading = _READERS[opener](data) if opener in _READERS else Reading((data,))
    try:
        return _decode_versions(opener, reading, max_pixels)
    except (RejectedError, MemoryError):
        raise
    except Exception as error:
        if reading.pixels_only is None:
            raise _explain_decoding_error(error, data) from error
    return decode_image(reading.pixels_only, max_pixels=max_pixels)


def load_pixels(data: bytes, form: PixelFormat) -> NDArray[np.uint8]:
    """[size, size, 3] uint8 RGB: the whole image resized without a crop, bilinear with antialiasing.

    Pillow's equal torchvision's `Resize((size, size))` on the PIL image. Raises RejectedError like `decode_image`.
    """
    if form.decoder == "torchvision":
        pixels = _load_by_torchvision(data, form.size)
        if pixels is not None:
            return pixels
    resized = decode_image(data).resize((form.size, form.size), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _load_by_torchvision(data: bytes, size: int) -> NDArray[np.uint8] | None:
    """What `load_pixels` promises, for JPEGs that are in colour, upright, whole and not too large; None for what is Pillow's."""
    # heavy, and Pillow's pixels need none of it
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    needed = _count_plain_jpeg_bytes(data)
    if needed is None or needed > MEMORY_BUDGET:
        return None
    with ROOM.take(needed), torch.inference_mode():
        try:
            image = decode_jpeg(torch.from_numpy(np.frombuffer(bytearray(data), np.uint8)), ImageReadMode.RGB)
        except RuntimeError:
            return None
        resized = torch.nn.functional.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _count_plain_jpeg_bytes(data: bytes) -> int | None:
    """Memory that decoding takes; None unless its header says that torchvision's decoder makes of it what Pillow's does."""
    if _find_opener(data) is not JpegImageFile:
        return None
    try:
        reading = read_jpeg(data)
        header = JpegImageFile(io.BytesIO(data))
    except Exception:
        return None
    width, height = header.size
    plain = header.mode == "RGB" and width * height <= MAX_PIXELS and _read_orientation(header) not in ROTATIONS
    return _count_bytes(header, reading) if plain and len(reading.versions) == 1 else None


def _decode_versions(opener: _Opener, reading: Reading, max_pixels: int) -> Image.Image:
    """The image that all versions of the file give."""
    if reading.size is not None:
        # The constructor already reserves room for whole frames: judge before opening.
        _check_pixels(reading.size, max_pixels)
        check_memory(reading.size, _WEBP_BYTES * reading.size[0] * reading.size[1])
    *others, last = reading.versions
    digests = [_hash_pixels(_decode(opener, version, reading, max_pixels)) for version in others]
    image = _decode(opener, last, reading, max_pixels)
    if digests and _hash_pixels(image) != digests[0]:
        raise RejectedError("image_truncated", "expected a whole picture, its data ends before its last pixels")
    return image


def _decode(opener: _Opener, data: bytes, reading: Reading, max_pixels: int) -> Image.Image:
    """Open, judge the size from the header, decode, and make upright RGB of it."""
    if reading.size is not None:
        needed = _WEBP_BYTES * reading.size[0] * reading.size[1]
        with ROOM.take(needed):
            reading.check_whole()
            return _make_upright_rgb(opener(io.BytesIO(data)))
    frame = opener(io.BytesIO(data))
    _check_pixels(frame.size, max_pixels)
    needed = _count_bytes(frame, reading)
    check_memory(frame.size, needed)
    with ROOM.take(needed):
        reading.check_whole()
        return _make_upright_rgb(frame)


def _count_bytes(frame: ImageFile.ImageFile, reading: Reading) -> int:
    """Memory that decoding and conversion take, by the header."""
    pixels = frame.width * frame.height
    stored = _STORED_BYTES.get(frame.mode, 4) * pixels
    converted = 0 if frame.mode == "RGB" and "transparency" not in frame.info else 4 * pixels
    # To look for more than its EXIF block would decode a PNG.
    known = "exif" in frame.info or not isinstance(frame, PngImageFile)
    turned = 8 * pixels if known and _read_orientation(frame) in ROTATIONS else 0
    return max(stored + max(converted, reading.kept_bytes), turned)


def _make_upright_rgb(frame: ImageFile.ImageFile) -> Image.Image:
    frame.load()
    rotation = ROTATIONS.get(_read_orientation(frame))
    image = _to_rgb(frame)
    if rotation is None:
        return image
    if image is not frame:
        frame.close()
    check_memory(image.size, 8 * image.width * image.height)
    return image.transpose(rotation)


def _hash_pixels(image: Image.Image) -> bytes:
    digest = hashlib.sha256()
    for box in _iter_strips(image.size):
        digest.update(image.crop(box).tobytes())
    return digest.digest()


def _find_opener(data: bytes) -> _Opener | None:
    """The class that opens this content; MPO is a JPEG whose first image is the one to take."""
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
        raise RejectedError(
            "image_too_large",
            f"expected at most {max_pixels:,} pixels, the header says {width:,} x {height:,}",
        )


def _explain_decoding_error(error: Exception, data: bytes) -> RejectedError:
    """Truncated when the decoder ran out of bytes or the file ends in zeros, else damaged."""
    detail = str(error)[:200] or type(error).__name__
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return RejectedError("image_too_large", f"expected a picture of fewer pixels: {detail}")
    out_of_bytes = any(isinstance(cause, EOFError | IndexError | struct.error) for cause in (error, error.__cause__))
    if out_of_bytes or "truncated" in detail.lower() or data.endswith(bytes(16)):
        return RejectedError("image_truncated", f"expected a whole picture, its data ends too early: {detail}")
    return RejectedError("image_not_a_picture", f"expected a picture that decodes, its data is damaged: {detail}")


def _to_rgb(frame: Image.Image) -> Image.Image:
    """Strip by strip: beside the frame stands nothing but the image made of it."""
    if frame.mode == "RGB" and not frame.has_transparency_data:
        # A WebP's frame holds on to its decoder's two canvases.
        return frame.copy() if isinstance(frame, WebPImageFile) else frame
    image = Image.new("RGB", frame.size)
    for box in _iter_strips(frame.size):
        image.paste(_convert_strip(frame.crop(box)), box)
    return image


def _iter_strips(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    width, height = size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _convert_strip(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I"):
        return _grey16_to_rgb(strip)
    if strip.has_transparency_data:
        layer = strip.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return strip.convert("RGB")


def _grey16_to_rgb(strip: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey at 255 when it converts; the upper byte is what a viewer shows."""
    values = np.asarray(strip).astype(np.int64)
    grey = (values >> 8).clip(0, 255).astype(np.uint8)
    transparent = strip.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _read_orientation(frame: ImageFile.ImageFile) -> int:
    """EXIF orientation, 1 when there is none or the EXIF block is damaged (the image itself is not)."""
    try:
        return int(frame.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # the EXIF parser raises anything on a damaged block
        return 1
