"""Files that other processes may look for at any time: whole, or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to: the file takes its place when the block ends, and goes when the block fails.

    Any number of processes and threads may write one file at once; the last one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
