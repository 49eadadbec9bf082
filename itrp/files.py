"""Files: written whole, or not there, and still so after a power cut; and what reading a damaged one raises."""

import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

DAMAGED_ARRAY: tuple[type[Exception], ...] = (
    ValueError, TypeError, OverflowError, MemoryError, RecursionError, SyntaxError, tokenize.TokenError, OSError, EOFError,
)  # fmt: skip
"""What reading a damaged npy file raises, or no array at all. Its header is Python, which NumPy's reader repairs and reads."""

DAMAGED_ARCHIVE: tuple[type[Exception], ...] = (
    *DAMAGED_ARRAY, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip
"""The same of an npz file."""


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to: the file takes its place when the block ends, and goes when the block fails.

    Any number of processes and threads may write one file at once; the last one's stays. When this returns, the file
    outlives a power cut: a name whose content was lost would be taken for a finished file.
    """
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{uuid4().hex}.draft")
    try:
        yield draft
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def place_folder(draft: Path, folder: Path) -> None:
    """Give a finished folder its name, with all that is in it, so that both outlive a power cut.

    Raises OSError where a folder with files stands there already.
    """
    make_folder(folder.parent)
    for path in draft.rglob("*"):
        sync(path)
    sync(draft)
    draft.replace(folder)
    sync(folder.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered for good in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Write a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
