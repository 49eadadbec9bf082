"""What NumPy and the zip file's reader raise for a file that is damaged, encrypted, cut, or no array at all."""

import lzma
import struct
import tokenize
import zipfile
import zlib

DAMAGED_ARRAY: tuple[type[Exception], ...] = (
    ValueError, TypeError, OverflowError, MemoryError, RecursionError, SyntaxError, tokenize.TokenError, OSError, EOFError,
)  # fmt: skip
"""Of an npy file. Its header is Python, which NumPy's reader mends and reads."""

DAMAGED_ARCHIVE: tuple[type[Exception], ...] = (
    *DAMAGED_ARRAY, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip
"""Of an npz file."""
