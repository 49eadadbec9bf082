"""Training of the aligned family: frozen vectors of all pairs, the stages of `itrp.alignment`, a model that holds the result."""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from itrp.alignment.compare import ComparedVectors, compare_vectors
from itrp.alignment.config import AlignedConfig, AnyAlignedConfig
from itrp.alignment.fit import FittedAlignment, PairFeatures, fit_alignment
from itrp.alignment.folds import content_keys
from itrp.alignment.gate import GATE, pairs_needed
from itrp.data.inputs import Rows, ShardFile, read_contents
from itrp.errors import DataError
from itrp.inference.dual_vectors import read_dual_vectors
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.runtimes import Runtime
from itrp.inference.shard_vectors import read_frozen_vectors
from itrp.models.aligned_model import AlignedModel, build_aligned_model
from itrp.models.aligner import build_aligner, build_plain_aligner
from itrp.models.device import Vectors
from itrp.models.dual_aligned_model import DualAlignedModel, build_dual_aligned_model
from itrp.progress import Count, Progress, count_stage, ignore_progress
from itrp.training.health import Finding
from itrp.training.training_set import limit_shards, list_set_aside

logger = logging.getLogger(__name__)

_ANOTHER_ENCODER = (
    "more tweets do not help, for nothing is learned from them: check that texts and images belong together, and take a dual "
    "encoder that knows the tweets' language and is not a stand-in (dual_encoder=FOLDER_OR_HUB_ID), or small-aligned"
)


@dataclass(frozen=True, eq=False)
class AlignmentResult:
    """What a training run has learned, and how long it took."""

    fitted: FittedAlignment | ComparedVectors
    pairs: int
    seconds: dict[str, float] = field(default_factory=dict)
    """Of embedding and of fitting, by the clock."""

    @property
    def named(self) -> bool:
        """Whether the alignment is good enough for its classes to have names."""
        return self.fitted.area >= GATE

    @property
    def mapping(self) -> tuple[int, ...] | None:
        """Class of each output, None where the alignment is too weak."""
        return (0, 1) if self.named else None

    def figures(self) -> Iterable[tuple[str, float]]:
        """(name, value) to log."""
        fitted = self.fitted
        yield from (
            ("pairs", float(self.pairs)),
            ("gate_auc", fitted.area),
            ("matched_share", fitted.share),
            ("threshold", fitted.decision.threshold),
            ("slope", fitted.decision.slope),
        )
        for stage, seconds in self.seconds.items():
            yield f"seconds_{stage}", seconds

    def findings(self) -> list[Finding]:
        """What a person should know before the model is used."""
        if self.named:
            return []
        sentence = (
            f"the model tells true from shuffled pairs with an area of {self.fitted.area:.3f} on held-out pairs, expected at "
            f"least {GATE:.2f}, so that its classes get no names"
        )
        helps = _ANOTHER_ENCODER
        if isinstance(self.fitted, FittedAlignment):
            helps = _explain_what_helps(self.fitted, self.pairs)
        return [Finding("weak-alignment", sentence, helps)]


def build_untrained(config: AnyAlignedConfig) -> AlignedModel | DualAlignedModel:
    """The model that `train_aligned` completes. Raises WeightsUnavailableError."""
    return build_aligned_model(config) if isinstance(config, AlignedConfig) else build_dual_aligned_model(config)


def train_aligned(
    model: AlignedModel | DualAlignedModel,
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    progress: Progress = ignore_progress,
    runtime: Runtime | None = None,
) -> AlignmentResult:
    """Fit the model's aligner on the pairs of some shards; no label is used. Raises DataError for too few pairs.

    runtime: what computes the vectors of encoders on a CPU; torch in fp32 by default. Scoring on the same one finds them kept.
    """
    config = model.config
    chosen = limit_shards(shards, config.pairs)
    began = time.perf_counter()
    count = count_stage(progress, "embedding texts and images", 2 * sum(shard.pairs for shard in chosen))
    texts, images = (Rows(side) for side in zip(*_read_vectors(model, chosen, cache, count, runtime), strict=True))
    embedded = time.perf_counter()
    rows = _usable_rows(chosen, cache, config.pairs)
    contents = [read_contents(shard) for shard in chosen]
    text_keys = content_keys(chain.from_iterable(text for text, _ in contents))[rows]
    image_keys = content_keys(chain.from_iterable(image for _, image in contents))[rows]
    pairs = PairFeatures(lambda m: texts.take(rows[m]), lambda m: images.take(rows[m]), text_keys, image_keys)
    fitted = _complete(model, pairs, cache, progress)
    seconds = {"embedding": embedded - began, "fitting": time.perf_counter() - embedded}
    return AlignmentResult(fitted, len(rows), seconds)


def _read_vectors(
    model: AlignedModel | DualAlignedModel,
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    count: Count,
    runtime: Runtime | None,
) -> Iterator[tuple[Vectors, Vectors]]:
    """Of the texts and images of each shard."""
    if isinstance(model, DualAlignedModel):
        return read_dual_vectors(model, shards, cache, count)
    return read_frozen_vectors(model, shards, cache, count, runtime)


def _complete(
    model: AlignedModel | DualAlignedModel, pairs: PairFeatures, cache: EmbeddingCache, progress: Progress
) -> FittedAlignment | ComparedVectors:
    """Give the model its aligner; what its pairs say about it."""
    seed, device = model.config.seed, cache.device
    if isinstance(model, DualAlignedModel):
        compared = compare_vectors(pairs, model.config.alignment, seed=seed, device=device, progress=progress)
        model.aligner = build_plain_aligner(compared).to(device)
        return compared
    fitted = fit_alignment(pairs, model.config.alignment, seed=seed, device=device, progress=progress)
    model.aligner = build_aligner(fitted, pairs.text_keys, pairs.image_keys).to(device)
    return fitted


def _usable_rows(shards: Sequence[ShardFile], cache: EmbeddingCache, limit: int | None) -> NDArray[np.int64]:
    """Rows whose images can be decoded, of the first `limit`. Raises DataError for none."""
    total = sum(shard.pairs for shard in shards)
    rows = np.arange(min(total, limit or total))
    rows = rows[~np.isin(rows, list_set_aside(shards, cache.folder))]
    if not len(rows):
        raise DataError("expected pairs whose images can be decoded, found none: ingest more, or name another data set")
    return rows


def _explain_what_helps(fitted: FittedAlignment, pairs: int) -> str:
    """How many more tweets, by the curve of the area over the number of pairs."""
    needed = pairs_needed(fitted.curve)
    shown = ", ".join(f"{size} pairs {value:.3f}" for size, value in fitted.curve)
    folds = len(fitted.models)
    wanted = needed * folds / (folds - 1) if needed else 0
    if wanted > pairs:
        digits = 1 - math.floor(math.log10(wanted))
        return f"train on about {round(wanted, digits):,.0f} tweets (the area by pairs learned from: {shown})"
    if needed is None:
        return (
            f"more tweets alone do not seem to help (the area by pairs learned from: {shown}): check that texts and images "
            "belong together and that the text encoder knows their language, or take clip-aligned"
        )
    return f"a few more tweets may be enough (the area by pairs learned from: {shown})"
