"""The image of one row that a registered model is asked about: bytes, base64 text, a path, or a PIL image."""

import base64
import binascii
import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from itrp.data.images import MAX_BYTES, MAX_PIXELS, check_image
from itrp.data.rejections import RejectedError

EXPECTED = "expected an image as bytes, base64 text, a path or a PIL image"
PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
"""Pillow's modes that a PNG file can hold as they are."""


def read_image(value: object, *, string_paths: bool) -> bytes:
    """The checked bytes of an image file.

    string_paths: whether text that is no image in base64 is taken for the path of a file. It must be off wherever the
    text can come from somebody else: who names a path would learn of files that are not theirs. `pathlib.Path` is always
    read, because only this process's own code can make one. Raises RejectedError.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return _checked(bytes(value))
    if isinstance(value, str):
        return _read_written(value, string_paths)
    if isinstance(value, os.PathLike):
        return _checked(_read_file(Path(value)))
    if isinstance(value, Image.Image):
        return _encode_pil(value)
    if is_nothing(value):
        raise RejectedError("image_missing", f"{EXPECTED}, found none")
    raise RejectedError("image_not_a_picture", f"{EXPECTED}, found a {type(value).__name__}")


def is_nothing(value: object) -> bool:
    """Whether a cell is empty: None, NaN, NaT or pandas' NA."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _checked(data: bytes) -> bytes:
    check_image(data)
    return data


def _read_written(text: str, string_paths: bool) -> bytes:
    """Base64 first: only text that is no image can be a path."""
    if not text.strip():
        raise RejectedError("image_missing", f"{EXPECTED}, found empty text")
    try:
        return _checked(_decode_base64(text))
    except RejectedError as rejection:
        # not Path.is_file: that one raises for text too long to be a path
        if string_paths and os.path.isfile(text):  # noqa: PTH113
            return _checked(_read_file(Path(text)))
        if _is_base64(text) or not _is_like_a_path(text):
            raise
        if string_paths:
            raise RejectedError("image_missing", f"{EXPECTED}, found no file at {text[:200]!r}") from rejection
        raise RejectedError(
            "image_not_a_picture",
            f"expected the image's bytes as base64 text, found {text[:200]!r}: a path is not read here, "
            "because the text can come from another machine; send what the file holds",
        ) from rejection


def _decode_base64(text: str) -> bytes:
    """The bytes behind base64 text, which may be broken into lines or stand in a data URL. Raises RejectedError."""
    written = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(written.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RejectedError(
            "image_not_a_picture", f"{EXPECTED}, found text that is no base64 (it begins with {text[:40]!r})"
        ) from error


def _is_base64(text: str) -> bool:
    try:
        _decode_base64(text)
    except RejectedError:
        return False
    return True


def _is_like_a_path(text: str) -> bool:
    return len(text) < 4096 and "\n" not in text and ("/" in text or "\\" in text or "." in text)


def _read_file(path: Path) -> bytes:
    """A file's bytes, one more than allowed at most: the check says the rest. Raises RejectedError."""
    if not path.is_file():
        raise RejectedError("image_missing", f"{EXPECTED}, found no file at {str(path)[:200]!r}")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RejectedError(
            "image_missing", f"expected a readable file at {str(path)[:200]!r}, found: {error.strerror}"
        ) from error


def _encode_pil(image: Image.Image) -> bytes:
    """A PIL image as a PNG of the same pixels and EXIF orientation. Raises RejectedError."""
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise RejectedError(
            "image_too_large", f"expected 1 to {MAX_PIXELS:,} pixels, found a PIL image of {width:,} x {height:,}"
        )
    buffer = io.BytesIO()
    try:
        exif: Any = image.getexif()  # read before the conversion, which forgets it
        plain = image if image.mode in PNG_MODES else image.convert("RGB")
        plain.save(buffer, "PNG", compress_level=1, exif=exif)
    except Exception as error:  # a decoder may raise anything on a hostile file, which PIL reads only now
        raise RejectedError(
            "image_not_a_picture", f"expected a PIL image that decodes, its data is damaged: {str(error)[:200]}"
        ) from error
    data = buffer.getvalue()
    check_image(
        data, max_bytes=len(data)
    )  # the limit is about files that people send; a PNG of the same photo is larger
    return data
