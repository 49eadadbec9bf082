"""Objects as local files: where the store is a folder they are used in place, otherwise they are downloaded once."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.catalog.tables import Shard
from infra.object_store import ObjectStore
from infra.parallel import map_in_order, open_pool
from itrp.data.inputs import ShardFile
from itrp.files import write_atomically

DOWNLOADS = 4
"""Shards downloaded at once: each is large, so a few fill the line."""


def local_file(store: ObjectStore, key: str, folder: Path) -> Path:
    """A file with the object's bytes. Only for objects that never change: the key is taken for the content."""
    path = store.local_path(key)
    if path is not None:
        return path
    target = folder / key
    if not target.exists():
        with write_atomically(target) as draft, store.open(key) as source, draft.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return target


def local_shards(store: ObjectStore, shards: Sequence[Shard], cache: Path) -> list[ShardFile]:
    """The shards as local files, in the order given; several are downloaded at once."""

    def fetch(shard: Shard) -> ShardFile:
        return ShardFile(shard.hash, local_file(store, shard.key, cache / "objects"), shard.pairs)

    with open_pool(DOWNLOADS) as pool:
        return list(map_in_order(pool, fetch, shards))
