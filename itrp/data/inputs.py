"""What the encoders read: token rows and pixels of a shard's pairs, and which local file a shard is."""

import mmap
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from itrp.data.rejections import RejectedError
from itrp.data.set_aside import SetAside, keep_set_aside, load_or_blank, read_set_aside
from itrp.files import write_atomically
from itrp.pixel_format import PixelFormat
from itrp.progress import Count, ignore_count

READ_ROWS = 256
"""Rows read from a shard at a time: bounds memory, whatever the shard's size."""
LOOK = PixelFormat(32)
"""Small: only whether an image decodes is asked."""


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard on the local disk."""

    hash: str
    path: Path
    pairs: int


def read_ids(shard: ShardFile) -> list[str]:
    """Tweet ids in stored order."""
    ids: list[str] = pq.read_table(shard.path, columns=["id"]).column("id").to_pylist()
    return ids


def read_texts(shard: ShardFile) -> list[str]:
    """Texts in stored order."""
    texts: list[str] = pq.read_table(shard.path, columns=["text"]).column("text").to_pylist()
    return texts


def read_contents(shard: ShardFile) -> tuple[list[str], list[str]]:
    """Texts, and the SHA-256 of the images, in stored order."""
    table = pq.read_table(shard.path, columns=["text", "image_sha256"])
    return table.column("text").to_pylist(), table.column("image_sha256").to_pylist()


def iter_pixels(
    shard: ShardFile, form: PixelFormat, found: list[SetAside] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Images in stored order as batches [<= READ_ROWS, size, size, 3] of uint8 RGB, decoded by threads.

    found: takes the rows that cannot be decoded, which are black then. Without it the first one raises RejectedError, which
    names the tweet and the shard.
    """
    start = 0
    with ThreadPoolExecutor(cpu_count() or 1) as pool, pq.ParquetFile(shard.path) as file:
        for batch in file.iter_batches(READ_ROWS, columns=["image"]):
            images = batch.column(0).field("bytes").to_pylist()
            rows = range(start, start + len(images))
            decoded = list(pool.map(lambda data, row: load_or_blank(data, form, row), images, rows))
            rejected = [each for _, each in decoded if each is not None]
            if rejected and found is None:
                raise explain_rejected(shard, rejected[0])
            (found if found is not None else []).extend(rejected)
            yield np.stack([pixels for pixels, _ in decoded])
            start += len(images)


def explain_rejected(shard: ShardFile, row: SetAside) -> RejectedError:
    """The error for a shard whose row nobody may skip."""
    where = f"tweet {read_ids(shard)[row.row]} (row {row.row} of shard {shard.hash[:12]})"
    return RejectedError(row.code, f"the image of {where}: {row.reason}")


def find_set_aside(shard: ShardFile, folder: Path) -> tuple[SetAside, ...]:
    """The rows of a shard whose images cannot be decoded; where nobody has read them all yet, they are decoded for it."""
    known = read_set_aside(shard.hash, folder)
    if known is None:
        found: list[SetAside] = []
        deque(iter_pixels(shard, LOOK, found), maxlen=0)
        keep_set_aside(shard.hash, found, folder)
        known = tuple(found)
    return known


def find_pixels(shard: ShardFile, form: PixelFormat, folder: Path) -> NDArray[np.uint8] | None:
    """What `cache_pixels` has kept of a shard, None when it has not been asked to."""
    path = _pixel_path(shard, form, folder)
    return np.load(path, mmap_mode="r") if path.exists() else None


def cache_pixels(shard: ShardFile, form: PixelFormat, folder: Path, count: Count = ignore_count) -> NDArray[np.uint8]:
    """All images of a shard as one memory map [n, size, size, 3], decoded at the first call and read at later ones.

    Those that cannot be decoded are black, and `read_set_aside` tells which. count: is called with the images that are
    ready.
    """
    path = _pixel_path(shard, form, folder)
    if not path.exists():
        with write_atomically(path) as draft:
            pixels = open_memmap(draft, mode="w+", dtype=np.uint8, shape=(shard.pairs, form.size, form.size, 3))
            start, found = 0, list[SetAside]()
            for batch in iter_pixels(shard, form, found):
                pixels[start : start + len(batch)] = batch
                start += len(batch)
                count(len(batch))
            pixels.flush()
            if found:
                keep_set_aside(shard.hash, found, folder)
    else:
        count(shard.pairs)
    kept: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return kept


def _pixel_path(shard: ShardFile, form: PixelFormat, folder: Path) -> Path:
    return folder / form.name / f"{shard.hash}.npy"


@dataclass(frozen=True)
class Rows:
    """Arrays of several shards (vectors, pixels) seen as one; only the rows asked for are copied out of the memory maps.

    What was read stays in the kernel's cache and not in this process's memory, which does not grow with the rows it has seen.
    """

    parts: Sequence[NDArray[Any]]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def take(self, rows: NDArray[np.integer]) -> NDArray[Any]:
        """The chosen rows, [m, ...], in the order given."""
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        part_of = np.searchsorted(starts, rows, side="right") - 1
        first = self.parts[0]
        taken = np.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
        for part in np.unique(part_of):
            places = np.flatnonzero(part_of == part)
            taken[places] = self.parts[part][rows[places] - starts[part]]
            forget_pages(self.parts[part])
        return taken


def forget_pages(array: NDArray[Any]) -> None:
    """Give back the pages of a read-only memory map: they count as this process's until somebody else needs the room."""
    mapped = getattr(array, "_mmap", None)  # numpy has no public name for it
    if isinstance(mapped, mmap.mmap) and not array.flags.writeable:
        mapped.madvise(mmap.MADV_DONTNEED)
