"""A model's own examples: pairs of the data it was trained on, found again in the catalog and the store."""

import logging
from pathlib import Path

from infra.catalog.database import Catalog
from infra.catalog.queries import list_shards
from infra.object_store import ObjectStore
from itrp.data.inputs import ShardFile
from serving.files import local_shards
from serving.registry import DATASET_TAG, ModelVersion

logger = logging.getLogger(__name__)


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
