"""Tweets' pictures, out of their shards: one at a time, in bounded memory, as thumbnails that are made once."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from infra.object_store import ObjectStore
from itrp.data.shards import ROW_GROUP
from serving.files import local_file
from serving.review.thumbnails import Thumbnail, draw_placeholder, find_thumbnail, keep_thumbnail

READ_ROWS = 8
"""Pictures in memory at a time while one is looked for."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of a store's shards."""

    store: ObjectStore
    cache: Path
    """Downloaded shards and thumbnails lie here: may be deleted at any time."""
    _turn: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(max(2, os.cpu_count() or 1)), repr=False
    )
    """As many pictures are decoded at once as there are processors; the others wait."""

    def show(self, shard_key: str, row: int, size: str) -> Thumbnail:
        """The thumbnail of the tweet in a row of a shard, or a drawing that says why there is none.

        A shard never changes, so its hash, which is its key's stem, and the row name the picture for ever.
        """
        shard = PurePosixPath(shard_key).stem
        file = self.cache / "thumbnails" / size / shard[:2] / f"{shard}-{row}.webp"
        known = find_thumbnail(file)
        if known is not None:
            return known
        with self._turn:
            image = read_image(local_file(self.store, shard_key, self.cache / "objects"), row)
            return (
                draw_placeholder("this tweet came without a picture")
                if image is None
                else keep_thumbnail(file, image, size)
            )


def read_image(shard: Path, row: int) -> bytes | None:
    """The bytes of a row's picture; None where the shard holds none. Raises IndexError behind the last row."""
    # mapped: of the group's pictures only the pages that are looked at come into memory
    with pq.ParquetFile(shard, memory_map=True) as file:
        if not 0 <= row < file.metadata.num_rows:
            raise IndexError(f"expected a row below {file.metadata.num_rows}, found {row}")
        group, place = divmod(row, ROW_GROUP)
        for batch in file.iter_batches(READ_ROWS, row_groups=[group], columns=["image"]):
            if place < len(batch):
                found = batch.column("image")[place].as_py()
                return found["bytes"] if found else None
            place -= len(batch)
    raise IndexError(f"expected row {row} in its group, found the group's end")
