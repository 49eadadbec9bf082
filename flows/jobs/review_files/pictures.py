"""Pictures of stored tweets as files that people open: small copies, or the bytes as they came."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.catalog.tables import Shard
from infra.object_store import ObjectStore
from itrp.analysis.cases import make_thumbnail
from itrp.data.rejections import RejectedError
from itrp.data.shards import ROW_GROUP, iter_batches
from itrp.files import write_atomically
from serving.files import local_file

COLUMNS = ("id", "text", "created_at", "lang", "image", "image_sha256")
"""Of a shard, with the picture's bytes; without them `image.path` stands for `image`."""


@dataclass(frozen=True)
class PictureFolder:
    """A folder that pictures are written to, by their tweets' ids.

    longest: of a small copy's sides, in pixels; 0 writes the bytes as they came.
    """

    folder: Path
    longest: int

    def write(self, tweet_id: str, image: Mapping[str, Any]) -> Path | None:
        """Write a shard's `image` cell; None where it cannot be decoded. Raises OSError."""
        if not self.longest:
            ending = Path(image["path"] or "").suffix.lower()
            return self._put(tweet_id + (ending if ending[1:].isalnum() and len(ending) < 6 else ""), image["bytes"])
        try:
            return self._put(f"{tweet_id}.jpg", make_thumbnail(image["bytes"], self.longest))
        except RejectedError:
            return None

    def _put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        with write_atomically(path) as draft:
            draft.write_bytes(data)
        return path


def read_rows(store: ObjectStore, cache: Path, shard: Shard, *, pictures: bool) -> Iterator[dict[str, Any]]:
    """A shard's tweets in stored order, a few hundred in memory at a time. `image` has no `bytes` without pictures."""
    columns = [name if name != "image" or pictures else "image.path" for name in COLUMNS]
    for batch in iter_batches(local_file(store, shard.key, cache / "objects"), columns):
        yield from batch.to_pylist()


def read_row(path: Path, row: int, *, pictures: bool = False) -> dict[str, Any]:
    """One tweet of a shard's file by its 0-based row; only its row group is read."""
    columns = [name if name != "image" or pictures else "image.path" for name in COLUMNS]
    with pq.ParquetFile(path) as file:
        found: list[dict[str, Any]] = (
            file.read_row_group(row // ROW_GROUP, columns=columns).slice(row % ROW_GROUP, 1).to_pylist()
        )
    return found[0]


def read_places(
    store: ObjectStore, cache: Path, places: Iterable[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    """Tweets with their pictures by (shard key, row), shard by shard, not in the order given."""
    for key, row in sorted(places):
        yield (key, row), read_row(local_file(store, key, cache / "objects"), row, pictures=True)
