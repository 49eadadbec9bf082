"""Small copies of tweets' pictures, re-encoded: what a stranger put into a file never reaches a browser."""

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

from itrp.data.images import MAX_BYTES, decode_image
from itrp.data.rejections import RejectedError
from itrp.files import write_atomically

SIZES = {"small": 320, "large": 1024}
"""Longest side in pixels, by the name of the size."""
QUALITY = 80
MEDIA_TYPE = "image/webp"
DRAWN_TYPE = "image/svg+xml"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture that may be shown."""

    data: bytes
    media_type: str
    problem: str = ""
    """Why it is a placeholder; empty for the picture itself."""


def find_thumbnail(file: Path) -> Thumbnail | None:
    """The one that was made before; None when there is none."""
    try:
        return Thumbnail(file.read_bytes(), MEDIA_TYPE)
    except OSError:
        return None


def keep_thumbnail(file: Path, image: bytes, size: str) -> Thumbnail:
    """A thumbnail of a picture's file, kept for the next time; a drawn placeholder where the picture does not decode."""
    try:
        data = encode_thumbnail(image, SIZES[size])
    except RejectedError as error:
        return draw_placeholder(error.reason)
    with write_atomically(file) as draft:
        draft.write_bytes(data)
    return Thumbnail(data, MEDIA_TYPE)


def encode_thumbnail(image: bytes, longest: int) -> bytes:
    """The picture upright as a WebP whose longer side has at most so many pixels, without the file's metadata.

    Memory is bounded as in `itrp.data.decoding_memory`. Raises RejectedError like `itrp.data.images.check_image`.
    """
    if len(image) > MAX_BYTES:
        raise RejectedError(
            "image_too_large", f"expected a picture of at most {MAX_BYTES:,} bytes, found {len(image):,}"
        )
    pixels = decode_image(image)
    pixels.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    pixels.save(sink, "WEBP", quality=QUALITY, method=4)
    return sink.getvalue()


def draw_placeholder(problem: str) -> Thumbnail:
    """A drawing with the reason in it, in place of a picture that cannot be shown."""
    lines = textwrap.wrap(problem, 42)[:5] or ["no picture"]
    texts = "".join(
        f'<text x="200" y="{168 + 20 * number}" font-size="14" fill="#5d6675" text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300" width="400" height="300" '
        'font-family="system-ui, DejaVu Sans, sans-serif">'
        '<rect width="400" height="300" fill="#eceff4"/>'
        '<g fill="none" stroke="#5d6675" stroke-width="4" stroke-linejoin="round">'
        '<rect x="150" y="40" width="100" height="76" rx="6"/><path d="M158 108l28-34 20 22 14-14 22 26"/>'
        '<path d="M142 124L258 32"/></g>'
        f"{texts}</svg>"
    )
    return Thumbnail(drawing.encode(), DRAWN_TYPE, problem)
