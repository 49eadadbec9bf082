"""How the bytes of an image are given to their decoder, and what has to hold before its pixels count."""

from collections.abc import Callable
from dataclasses import dataclass


def _agree() -> None:
    """Nothing to check."""


@dataclass(frozen=True)
class Reading:
    """One image file, looked at by its format's own rules before a decoder sees it."""

    versions: tuple[bytes, ...]
    """What is decoded. Two when the file lacks its end: it is completed in two ways, and every pixel stands in the file exactly
    when both give the same pixels."""
    pixels_only: bytes | None = None
    """What is decoded when the decoder stumbles over metadata."""
    size: tuple[int, int] | None = None
    """Width and height where they must be judged before the decoder opens the file."""
    kept_bytes: int = 0
    """Bytes of memory that the decoder takes beside the decoded frame."""
    check_whole: Callable[[], None] = _agree
    """Raises RejectedError when pixels are missing that the decoder would make up. Called after the size is judged."""
