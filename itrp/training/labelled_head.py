"""Training of a head from a few labels: an alignment of all pairs, which looks at no label, then a logistic regression a task."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.alignment.config import AlignedConfig
from itrp.alignment.folds import Keys, find_groups
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.shard_vectors import read_frozen_vectors
from itrp.labels import CLASS_NAMES, UNLABELLED, Task
from itrp.models.aligned_model import AlignedModel, read_keys
from itrp.models.aligner import Aligner
from itrp.models.head_config import FEWEST_LABELS, OF_ALIGNMENT, Block, LabelledHeadConfig
from itrp.models.labelled_head import LabelledHead, LabelledHeadModel, Standardiser
from itrp.progress import Progress, count_stage, ignore_progress
from itrp.training.alignment import AlignmentResult, train_aligned
from itrp.training.head_fit import FittedHead, fit_head
from itrp.training.training_set import list_set_aside

logger = logging.getLogger(__name__)

FEWEST_OF_CLASS = 2
"""Labels of each class: one to learn from, one to hold out."""
NO_LABELS_NEEDED = "`itrp train small-aligned`, for the text task, needs no label"


@dataclass(frozen=True, eq=False)
class GivenAlignment:
    """An alignment that other pairs have taught."""

    aligner: Aligner
    told: str
    """Whose it is, for a reader."""
    area: float
    """Of true against shuffled pairs that were held out where it learned."""


@dataclass(frozen=True, eq=False)
class HeadResult:
    """What a training run has learned, and how long it took."""

    heads: dict[Task, FittedHead]
    blocks: tuple[Block, ...]
    """The features they were fitted on."""
    pairs: int
    alignment: AlignmentResult | None
    """Fitted on these pairs. None where another was given or none was asked for, or there were too few pairs for one."""
    given: GivenAlignment | None = None
    notes: list[str] = field(default_factory=list)
    """What was left out, and why: sentences."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def area(self) -> float | None:
        """Of true against shuffled held-out pairs, by the alignment that gives features; None without one."""
        if self.given is not None:
            return self.given.area
        return self.alignment.fitted.area if self.alignment is not None else None

    def figures(self) -> Iterable[tuple[str, float]]:
        """(name, value) to log; those of a head under its task's name."""
        yield "pairs", float(self.pairs)
        if self.area is not None:
            yield "gate_auc", self.area
        for task, head in self.heads.items():
            yield from ((f"{task}/{name}", value) for name, value in head.figures())
        for stage, seconds in self.seconds.items():
            yield f"seconds_{stage}", seconds


def train_labelled_head(
    model: LabelledHeadModel,
    shards: Sequence[ShardFile],
    annotations: Annotations,
    cache: EmbeddingCache,
    progress: Progress = ignore_progress,
    given: GivenAlignment | None = None,
) -> HeadResult:
    """Fit the model's heads on the labels of the train split. annotations: of all pairs of the shards, in their order.

    given: an alignment of the same encoders' vectors; by default one is fitted on these pairs. A task with too few labels is
    left out and noted. Raises DataError, saying what to do, where all of them are.
    """
    chosen, notes = choose_labels(model.config, annotations)
    model.kept_in = cache.folder
    began = time.perf_counter()
    alignment = None
    if given is not None:
        model.aligner = given.aligner.to(cache.device)
    else:
        alignment, missing = _align(model, shards, cache, progress)
        notes += missing
    aligned = time.perf_counter()
    features, model.standardiser = _read_features(model, shards, cache, chosen, progress)
    keys = tuple(np.concatenate(side) for side in zip(*map(read_keys, shards), strict=True))
    read = time.perf_counter()
    config, fitted = model.config, {}
    for task, rows in chosen.items():
        labels = annotations.labels(task)[rows]
        groups = _group(labels, *(side[rows] for side in keys))
        fitted[task] = fit_head(features[task], labels, groups, folds=config.head.folds, seed=config.seed)
    model.heads = torch.nn.ModuleDict({str(task): _hold(head) for task, head in fitted.items()}).to(cache.device)
    model.answers = model.tasks[0]
    seconds = {"aligning": aligned - began, "reading": read - aligned, "fitting": time.perf_counter() - read}
    return HeadResult(fitted, model.blocks, sum(shard.pairs for shard in shards), alignment, given, notes, seconds)


def _group(labels: NDArray[np.int64], text_keys: Keys, image_keys: Keys) -> NDArray[np.int64]:
    """[n] groups of the labelled pairs that share a text or an image. Pairs without a label connect nothing.

    Where captions are rated beside many images everything hangs together so: then pairs that share an image.
    """
    groups = find_groups(text_keys, image_keys)
    if min(len(np.unique(groups[labels == each])) for each in (0, 1)) > 1:
        return groups
    return image_keys


def choose_labels(
    config: LabelledHeadConfig, annotations: Annotations
) -> tuple[dict[Task, NDArray[np.intp]], list[str]]:
    """Rows of the train split to learn from by task, and a sentence for each task that is left out.

    Raises DataError where all of them are.
    """
    chosen: dict[Task, NDArray[np.intp]] = {}
    left_out: dict[Task, str] = {}
    for task in config.tasks:
        labels = annotations.labels(task)
        rows = np.flatnonzero((annotations.split == "train") & (labels != UNLABELLED))
        if config.labels is not None and len(rows) > config.labels:
            rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[: config.labels])
        trouble = _explain_too_few(task, labels[rows])
        if trouble is None:
            chosen[task] = rows
        else:
            left_out[task] = trouble
    if not chosen:
        raise DataError(f"{'; '.join(left_out.values())}; {NO_LABELS_NEEDED}")
    return chosen, [f"no head for the {task} task: {trouble}" for task, trouble in left_out.items()]


def _explain_too_few(task: Task, labels: NDArray[np.int64]) -> str | None:
    """What to do where these labels [n] are too few to learn from; None where they are enough."""
    counts = np.bincount(labels, minlength=2)
    if len(labels) < FEWEST_LABELS:
        return (
            f"expected at least {FEWEST_LABELS} labels of the {task} task in the train split, found {len(labels)}: label "
            f"{FEWEST_LABELS - len(labels)} more pairs"
        )
    if counts.min() < FEWEST_OF_CLASS:
        rare = CLASS_NAMES[task][int(counts.argmin())]
        return (
            f"expected at least {FEWEST_OF_CLASS} labels of each class of the {task} task in the train split, found "
            f"{counts.min()} '{rare}' among {len(labels)}: label more pairs that may be so"
        )
    return None


def _align(
    model: LabelledHeadModel, shards: Sequence[ShardFile], cache: EmbeddingCache, progress: Progress
) -> tuple[AlignmentResult | None, list[str]]:
    """Fit the model's alignment; a sentence where there are too few pairs for one."""
    config = model.config
    model.aligner = None
    if not {*OF_ALIGNMENT} & {*config.head.blocks}:
        return None, []
    settings = AlignedConfig(
        name=config.name,
        text=config.text,
        image=config.image,
        alignment=config.head.alignment,
        embed_batch_size=config.embed_batch_size,
        seed=config.seed,
    )
    aligned = AlignedModel(settings, model.text, model.image, Aligner({}))
    try:
        result = train_aligned(aligned, shards, cache, progress)
    except DataError as error:
        if not {*config.head.blocks} - {*OF_ALIGNMENT}:
            raise
        return None, [f"without an alignment of texts and images, and so without a * b and z: {error}"]
    model.aligner = aligned.aligner
    return result, []


def _read_features(
    model: LabelledHeadModel,
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    chosen: dict[Task, NDArray[np.intp]],
    progress: Progress,
) -> tuple[dict[Task, NDArray[np.float64]], Standardiser]:
    """Standardised features [m, d] of the labelled rows by task, and the standardiser, made from all pairs of the shards."""
    wanted = np.unique(np.concatenate([*chosen.values()]))
    unread = list_set_aside(shards, cache.folder)
    moments, kept, start = _Moments(), [], 0
    count = count_stage(progress, "reading features of pairs", sum(shard.pairs for shard in shards))
    for shard, vectors in zip(shards, read_frozen_vectors(model, shards, cache), strict=True):
        blocks = model.read_features(*vectors, shard)
        features = np.concatenate([*blocks.values()], axis=1, dtype=np.float64)
        own = np.arange(start, start + shard.pairs)
        moments.add(features[~np.isin(own, unread)])
        kept.append(features[np.isin(own, wanted)])
        start += shard.pairs
        count(shard.pairs)
    widths = np.concatenate([np.full(block.shape[1], block.shape[1]) for block in blocks.values()])
    standardiser = moments.standardise(widths).to(cache.device)
    found = standardiser.apply_to(np.concatenate(kept))
    return {task: found[np.searchsorted(wanted, rows)] for task, rows in chosen.items()}, standardiser


class _Moments:
    """Sums over the features of all pairs."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] | float = 0.0
        self.squares: NDArray[np.float64] | float = 0.0
        """Of the distances from the mean."""

    def add(self, features: NDArray[np.float64]) -> None:
        """Another part of the pairs [m, d] (Chan et al. 1979: no large sums are subtracted from each other)."""
        if not len(features):
            return
        total, mean = self.count + len(features), features.mean(axis=0)
        distance = mean - self.mean
        self.squares = (
            self.squares + ((features - mean) ** 2).sum(axis=0) + distance**2 * (self.count * len(features) / total)
        )
        self.mean = self.mean + distance * (len(features) / total)
        self.count = total

    def standardise(self, widths: NDArray[np.integer]) -> Standardiser:
        """widths: [d] width of the block each feature is of. A feature that never varies is 0 wherever the head learns."""
        deviation = np.sqrt(np.asarray(self.squares) / self.count)
        deviation = np.where(deviation > 1e-9, deviation, 1.0)
        parts = np.asarray(self.mean), deviation, widths.astype(np.float64)
        return Standardiser(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))


def _hold(fitted: FittedHead) -> LabelledHead:
    calibration = [fitted.calibration.slope, fitted.calibration.offset]
    return LabelledHead(
        torch.from_numpy(np.ascontiguousarray(fitted.weights)),
        torch.tensor(fitted.intercept, dtype=torch.float64),
        torch.tensor(calibration, dtype=torch.float64),
    )
