"""Rows of a shard whose image cannot be decoded: neither labelled nor learned from, and the reason is kept beside the pixels.

Ingestion rejects such images; what an older version or another decoder let in must not keep the other rows from their labels.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itrp.data.images import load_pixels
from itrp.data.rejections import RejectedError
from itrp.files import write_atomically
from itrp.pixel_format import PixelFormat

REASON_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row and why."""

    row: int
    """0-based in the shard."""
    code: str
    """One of `itrp.data.rejections.REASONS`."""
    reason: str


def load_or_blank(data: bytes, form: PixelFormat, row: int) -> tuple[NDArray[np.uint8], SetAside | None]:
    """[size, size, 3] pixels of the image in a row; where it cannot be decoded black ones, and why."""
    try:
        return load_pixels(data, form), None
    except MemoryError:  # says something about this machine, not about the image
        raise
    except Exception as error:  # a decoder may raise anything on a hostile file
        return np.zeros((form.size, form.size, 3), dtype=np.uint8), explain_row(row, error)


def explain_row(row: int, error: Exception) -> SetAside:
    """What a decoder raised, as the reason a row is set aside for."""
    if isinstance(error, RejectedError):
        return SetAside(row, error.code, _clean(error.reason))
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    return SetAside(row, "image_not_a_picture", _clean(f"expected a picture that decodes, its decoder failed: {told}"))


def keep_set_aside(shard_hash: str, found: Iterable[SetAside], folder: Path) -> None:
    """Remember what reading a shard has found. To be called before anything made of its pixels is kept.

    Who calls it without any has read the whole shard, so that nobody has to look again.
    """
    known = read_set_aside(shard_hash, folder)
    rows = {
        each.row: each for each in [*found, *(known or ())]
    }  # another format's decoder may have rejected other rows
    if known is None or len(rows) > len(known):
        with write_atomically(_file(shard_hash, folder)) as draft:
            draft.write_text(json.dumps([asdict(rows[row]) for row in sorted(rows)], indent=1) + "\n")


def read_set_aside(shard_hash: str, folder: Path) -> tuple[SetAside, ...] | None:
    """The rows of a shard that are set aside, in order; None where nobody has read its images yet."""
    path = _file(shard_hash, folder)
    return tuple(SetAside(**each) for each in json.loads(path.read_text())) if path.exists() else None


def _clean(reason: str) -> str:
    """One line that every database takes, whatever a decoder has said."""
    line = "".join(character if character.isprintable() else " " for character in reason)
    return " ".join(line.split())[:REASON_CHARACTERS]


def _file(shard_hash: str, folder: Path) -> Path:
    return folder / "set-aside" / f"{shard_hash}.json"
