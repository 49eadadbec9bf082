"""Scoring shard by shard, as tests and benchmarks stop it in the middle."""

from flows.jobs.scoring import find_archive, find_new, open_scorer
from flows.platform import Platform
from infra.catalog.database import Catalog
from infra.catalog.tables import Shard
from serving.champions import find_champions
from serving.registry import ModelPair
from serving.scorer import BatchScorer


def pin_scorer(platform: Platform) -> BatchScorer:
    """A scorer for the champions as they are now. Raises NotReadyError."""
    return open_scorer(platform, find_champions(platform.registry, platform.catalog).pair)


def find_work(catalog: Catalog, pair: ModelPair, *, backfill: bool) -> list[Shard]:
    """New shards; with `backfill`, those of the archive after them: the order of a scoring run."""
    return [*find_new(catalog), *(find_archive(catalog, pair) if backfill else [])]
