"""Keys of pictures, as records name them."""

import posixpath

from itrp.data.rejections import RejectedError
from itrp.data.texts import is_utf8

MAX_KEY_BYTES = 1024
"""Longest key of an object (S3's limit), in bytes of UTF-8."""
MAX_NAME_BYTES = 255
"""Longest name between two slashes: a store in a folder cannot keep a longer one."""


def resolve_key(image: object, source: str) -> str | None:
    """The picture's key from the bucket's root, or None when the record names no picture.

    image: relative to the batch file's folder, or from the bucket's root when it begins with "/".
    Raises RejectedError, image_key_invalid, for a key that leads out of the bucket or cannot be one.
    """
    if image is None or image == "":
        return None
    if not isinstance(image, str):
        raise RejectedError(
            "image_key_invalid", f"expected the picture's key as a string, found a {type(image).__name__}"
        )
    if not is_utf8(image) or "\\" in image or any(ord(character) < 32 or ord(character) == 127 for character in image):
        raise RejectedError(
            "image_key_invalid",
            f"expected a key of printable characters with / between folders, found {ascii(image)[:200]}",
        )
    joined = image.lstrip("/") if image.startswith("/") else posixpath.join(posixpath.dirname(source), image)
    key = posixpath.normpath(joined)
    if key in (".", "..") or key.startswith("../"):
        raise RejectedError(
            "image_key_invalid",
            f"expected a key inside the store, found {image[:200]!r}, which leads out of it",
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise RejectedError(
            "image_key_invalid",
            f"expected a key of at most {MAX_KEY_BYTES} bytes, found {len(key.encode()):,}",
        )
    if max(len(segment.encode()) for segment in key.split("/")) > MAX_NAME_BYTES:
        raise RejectedError(
            "image_key_invalid",
            f"expected names of at most {MAX_NAME_BYTES} bytes between the slashes, found a longer one",
        )
    return key
