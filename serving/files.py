"""Objects as local files: where the store is a folder they are used in place, otherwise they are downloaded once."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.catalog.database import Catalog
from infra.catalog.queries import list_shards
from infra.catalog.tables import Shard
from infra.object_store import ObjectStore
from infra.parallel import map_in_order, open_pool
from itrp.data.inputs import ShardFile
from itrp.files import write_atomically
from serving.registry import DATASET_TAG, ModelVersion

logger = logging.getLogger(__name__)

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


def find_examples(store: ObjectStore, catalog: Catalog, version: ModelVersion, cache: Path) -> ShardFile | None:
    """The first shard of the data set a version was trained on, as a file. None, with a warning, where it is not known here."""
    name = version.tags.get(DATASET_TAG, "")
    with catalog.session() as session:
        shards = list_shards(session, name)[:1]
    if not shards:
        logger.warning(
            "%s was trained on the data set %r, which this catalog does not hold: no examples", version, name
        )
        return None
    return local_shards(store, shards, cache)[0]
