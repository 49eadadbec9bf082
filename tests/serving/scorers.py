"""Scorers of a test's own store and catalog, and what they leave there."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from infra.catalog.queries import list_shards
from infra.catalog.tables import LabelFile, Shard
from infra.object_store import ObjectStore
from serving.registry import ModelPair
from serving.scorer import BatchScorer

if TYPE_CHECKING:
    from flows.platform import Platform
    from itrp.inference.runtimes import Precision

PAIR_FOLDER = "labels/text-2_image-2/"


def make_scorer(platform: "Platform", trained: "Platform", cache: Path, precision: "Precision" = "auto") -> BatchScorer:
    registry = trained.registry
    pair = ModelPair(registry.resolve("itrp-text-task/2"), registry.resolve("itrp-image-task/2"))
    store, catalog = platform.store, platform.catalog
    return BatchScorer(store, catalog, registry, pair, cache=cache, device="cpu", precision=precision)


def landed(scorer: BatchScorer) -> list[Shard]:
    with scorer.catalog.session() as session:
        return list_shards(session, "landing")


def ledger(scorer: BatchScorer) -> list[LabelFile]:
    with scorer.catalog.session() as session:
        return [*session.scalars(select(LabelFile).order_by(LabelFile.id))]


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list("labels/")]
