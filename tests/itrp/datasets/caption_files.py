"""Folders of captions for tests: photographs are plain squares of one colour each."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image


def paint(number: int) -> bytes:
    """A JPEG of its own for each number below 200."""
    sink = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 255 - number, 40)).save(sink, "JPEG", quality=95)
    return sink.getvalue()


def write_captions(
    folder: Path, columns: Sequence[str], rows: Sequence[Sequence[object]], images: Mapping[str, bytes]
) -> Path:
    """pairs.csv with these columns and rows, and the images at their paths below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *rows])
    for name, content in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
