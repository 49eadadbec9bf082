"""Batch scoring: every shard gets one label file for a pinned pair of model versions, and then a row in the ledger."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from infra.catalog import Catalog
from infra.catalog_queries import record_label_file
from infra.object_store import ObjectStore
from infra.tables import LabelFile, Shard
from itrp.errors import DataError
from itrp.labels import Task
from serving.files import local_shards
from serving.labels import build_labels, count_relations, decode_labels, encode_labels, label_key
from serving.registry import ModelPair, Registry

if TYPE_CHECKING:
    from serving.labelling import ShardLabeller

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run did."""

    pairs: int
    shards: int
    text_version: str
    image_version: str
    counts: dict[str, int] = field(default_factory=dict)
    """Pairs by relation code."""


class BatchScorer:
    """Labels shards with one pair of model versions. The models are loaded at the first shard, not before."""

    def __init__(
        self, store: ObjectStore, catalog: Catalog, registry: Registry, pair: ModelPair, *, cache: Path, device: str
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.registry = registry
        self.pair = pair
        self.cache = cache
        self.device = device

    @cached_property
    def _labeller(self) -> "ShardLabeller":
        # imported late: torch takes seconds, and a run with nothing to label does not need it
        from serving.labelling import ShardLabeller

        folders = {Task.TEXT: self.registry.fetch(self.pair.text), Task.IMAGE: self.registry.fetch(self.pair.image)}
        return ShardLabeller(folders, cache=self.cache, device=self.device)

    def score(self, shard: Shard, flow_run_id: str | None = None) -> LabelFile:
        """Label one shard: the file first, then the ledger, so that a kill between the two repeats nothing and loses nothing.

        Where a label file of this pair already lies, its labels count: the first writer wins.
        """
        key = label_key(shard.hash, self.pair.text.short, self.pair.image.short)
        if self.store.stat(key) is None:
            self.store.put_if_absent(key, encode_labels(self._label(shard)))
        data = self.store.get(key)
        table = decode_labels(data)
        if table.num_rows != shard.pairs:
            raise DataError(
                f"{key} holds {table.num_rows} labels, but its shard holds {shard.pairs} pairs: remove the file and score again"
            )
        with self.catalog.session() as session:
            row = record_label_file(
                session,
                shard_id=shard.id,
                text_version=self.pair.text.short,
                image_version=self.pair.image.short,
                key=key,
                sha256=sha256(data).hexdigest(),
                pairs=table.num_rows,
                counts=count_relations(table),
                flow_run_id=flow_run_id,
            )
        logger.info("labelled shard %s: %d pairs", shard.hash[:12], table.num_rows)
        return row

    def _label(self, shard: Shard) -> pa.Table:
        file = local_shards(self.store, [shard], self.cache)[0]
        ids, probabilities = self._labeller.label(file)
        return build_labels(
            ids,
            probabilities[Task.TEXT],
            probabilities[Task.IMAGE],
            shard=shard.hash,
            text_version=self.pair.text.short,
            image_version=self.pair.image.short,
        )


def summarise(rows: Sequence[LabelFile], pair: ModelPair) -> ScoreReport:
    """The report of a run that wrote these ledger rows."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.counts)
    return ScoreReport(
        sum(row.pairs for row in rows), len(rows), pair.text.short, pair.image.short, dict(sorted(counts.items()))
    )
