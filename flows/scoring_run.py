"""Which shards a scoring run labels: no Prefect in here."""

from flows.data_sets import LANDING
from flows.platform import Platform
from infra.catalog_queries import unlabelled_shards
from infra.tables import Shard
from serving.registry import ModelPair
from serving.scoring import BatchScorer


def pin_scorer(platform: Platform) -> BatchScorer:
    """A scorer for the champions as they are now: an alias that moves during the run changes nothing in it.

    Raises NotFoundError when a task has no champion yet.
    """
    settings = platform.settings
    pair = platform.registry.champions()
    return BatchScorer(
        platform.store,
        platform.catalog,
        platform.registry,
        pair,
        cache=settings.cache_dir,
        device=settings.device,
        precision=settings.precision,
    )


def find_work(platform: Platform, pair: ModelPair, *, backfill: bool) -> list[Shard]:
    """Shards of the landing data set that no pair of versions has labelled; with `backfill`, that this pair has not."""
    with platform.catalog.session() as session:
        if backfill:
            return unlabelled_shards(session, LANDING, pair.text.short, pair.image.short)
        return unlabelled_shards(session, LANDING)
