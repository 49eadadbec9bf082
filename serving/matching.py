"""How well a text model tells pairs as they are from pairs with another image: a figure that needs no label."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from itrp.alignment.folds import draw_partners, find_groups
from itrp.clustering.mapping import mapped_probabilities
from itrp.data.inputs import ShardFile
from itrp.data.set_aside import read_set_aside
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import VectorModel, embed_shard
from itrp.inference.runtimes import Runtime
from itrp.inference.shard_vectors import read_frozen_vectors
from itrp.models.aligned_model import AlignedModel, read_keys

REPRESENTED = 1
"""The class whose probability is the score: the text is represented."""


class MatchScores(NamedTuple):
    """Scores of the same texts."""

    true: NDArray[np.float64]
    """[n] beside their own images."""
    shuffled: NDArray[np.float64]
    """[n] beside another image of the same shard."""


def score_matching(
    model: VectorModel,
    mapping: tuple[int, ...],
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    seed: int = 0,
    runtime: Runtime | None = None,
) -> MatchScores:
    """Probabilities that texts are represented, beside their own image and beside another; a pair without another is left out.

    An aligned model judges a pair that it has learned from by the part of it that has not seen it. runtime: on which such a
    model's vectors were made, torch in fp32 by default; they are read where they are kept.
    """
    parts = [_score_shard(model, mapping, shard, cache, seed, runtime) for shard in shards]
    return MatchScores(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _score_shard(
    model: VectorModel,
    mapping: tuple[int, ...],
    shard: ShardFile,
    cache: EmbeddingCache,
    seed: int,
    runtime: Runtime | None,
) -> MatchScores:
    groups = find_groups(*read_keys(shard))
    others = draw_partners(groups, np.zeros(len(groups), dtype=np.uint8), seed)
    if isinstance(model, AlignedModel):
        ((text, image),) = read_frozen_vectors(model, [shard], cache, runtime=runtime)
    else:
        text, image = embed_shard(model, shard, cache)
    usable = others >= 0
    usable[[each.row for each in read_set_aside(shard.hash, cache.folder) or ()]] = False
    images = np.where(others >= 0, others, np.arange(len(others)))
    found = [mapped_probabilities(model.classify_vectors(text, image, shard, rows), mapping) for rows in (None, images)]
    return MatchScores(*(_of_class(each, REPRESENTED)[usable] for each in found))


def _of_class(probabilities: NDArray[np.floating], wanted: int) -> NDArray[np.float64]:
    """[n]; zeros where a mapping has no cluster for the class."""
    missing = probabilities.shape[1] <= wanted
    return np.zeros(len(probabilities)) if missing else probabilities[:, wanted].astype(np.float64)
