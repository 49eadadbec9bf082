"""Class names for clusters from a few labels, or from none: what stands in for a labelled train split.

`ExampleNaming` asks a person for m labels; `SimilarityNaming` asks a dual encoder of texts and images (CLIP, SigLIP) and
needs no label. Each is a protocol of its own in `itrp.evaluation.results`, with its own name in every report.
`name_by_person` takes the word of somebody who has looked at the clusters.

The m labels choose the checkpoint too: on synthetic tweets that is better than the last checkpoint from some ten labels on
(docs/log.md). Similarity says nothing about how good a partition is, so `joint` takes the last one.
"""

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from itrp.clustering.mapping import Mapping
from itrp.errors import DataError, WrongUseError
from itrp.evaluation.protocols import Choice, Protocol, RoundPredictions, choose_round
from itrp.labels import CLASS_NAMES, PERSON_WORDS, UNLABELLED, Task

SURE = 2.0
"""A difference of mean cosines of fewer standard errors than this may be chance."""


class NamingRule(Interface):
    """Chooses checkpoint and mapping in place of the protocols; `str()` is the name in reports."""

    def choose(self, task: Task, rounds: Sequence[RoundPredictions], dev_labels: NDArray[np.integer]) -> Choice:
        """The choice for a model of `task`: clusters by round, and the labels [n_dev] of the dev pairs."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class CosineNames:
    """A mapping chosen by similarity, and how clearly."""

    mapping: Mapping
    gap: float
    """Smallest difference between the mean cosines of two neighbouring clusters, in standard deviations within a cluster."""
    z: float
    """The same in standard errors; below about 2 the order may be chance."""


@dataclass(frozen=True)
class SimilarityChoice(Choice):
    """A choice by similarity; gap and z as in `CosineNames`."""

    gap: float
    z: float
    task: Task


def name_by_person(task: Task, words: Dictionary[int, str]) -> Mapping:
    """The mapping of clusters about `task` that a person's words (cluster -> one of PERSON_WORDS) give.

    Of two clusters one is enough: the other gets the other name. Several clusters may have one name. Raises WrongUseError for a
    cluster that is not there, a word of another task, and clusters without a name.
    """
    known = PERSON_WORDS[task]
    for cluster, word in words.items():
        if not 0 <= cluster < len(known):
            raise WrongUseError(f"expected a cluster from 0 to {len(known) - 1}, found {cluster}")
        if word not in known:
            raise WrongUseError(
                f"expected as a name of a cluster of the {task} task {', '.join(known[:-1])} or {known[-1]}, found {word!r}"
            )
    named = {cluster: known.index(word) for cluster, word in words.items()}
    if len(known) == 2 and len(named) == 1:
        ((cluster, index),) = named.items()
        named[1 - cluster] = 1 - index
    missing = [str(cluster) for cluster in range(len(known)) if cluster not in named]
    if missing:
        raise WrongUseError(
            f"expected a name for each of {len(known)} clusters, found none for {', '.join(missing)}: add "
            f"--cluster {missing[0]}={known[0]}, or another of {', '.join(known)}"
        )
    return tuple(named[cluster] for cluster in range(len(known)))


def keep_examples(labels: NDArray[np.integer], examples: int, seed: int) -> NDArray[np.int64]:
    """The labels [n] of `examples` labelled rows drawn at random, UNLABELLED elsewhere.

    Drawn uniformly, not by class: whoever labels the next tweets does not know their classes beforehand. For one seed
    a smaller draw is part of a larger one. Raises DataError for fewer labelled rows than examples, or none asked for.
    """
    labels = np.asarray(labels, dtype=np.int64)
    labelled = np.flatnonzero(labels != UNLABELLED)
    if not 1 <= examples <= len(labelled):
        raise DataError(
            f"expected 1 to {len(labelled)} examples, the labelled pairs of the train split, found {examples}: "
            "choose another number, or ingest a data set with more labels"
        )
    kept = np.full(len(labels), UNLABELLED, dtype=np.int64)
    drawn = np.random.default_rng(seed).permutation(labelled)[:examples]
    kept[drawn] = labels[drawn]
    return kept


def name_by_cosines(clusters: NDArray[np.integer], cosines: NDArray[np.floating], classes: int) -> CosineNames:
    """The clusters in the order of their mean text-image cosine: the least similar one is class 0.

    clusters, cosines: [n]. For the text task (2) the more similar cluster is 'text represented', for the image-text
    task (4) the order is 00 < 01 < 10 < 11, as in the check of Sun et al. 2023 (cosine of CLIP against the scores 1 to
    4 of these relations; Spearman 0.38 on the test set). For the image task (2) the more similar cluster is 'image
    adds'. That is an assumption: by the same order an adding image is the more similar one among pairs with equal
    text label (00 < 01, 10 < 11), and in ITR the text label hardly differs between the classes (represented: 42 % of
    those that add, 39 % of the others), so it does not turn the order round. It is one score step of three, hence the
    weaker signal, and where clusters of the image task differ in the text label instead, it names them by that.

    Raises DataError when a cluster is empty (it has no mean), for a cosine that is no number, or for other lengths.
    """
    clusters, cosines = np.asarray(clusters, dtype=np.int64), np.asarray(cosines, dtype=np.float64)
    if len(clusters) != len(cosines) or not np.isfinite(cosines).all():
        raise DataError(
            f"expected one finite cosine a pair, found {len(clusters)} clusters and {len(cosines)} cosines, "
            f"{int((~np.isfinite(cosines)).sum())} of them not finite: check the dual encoder"
        )
    sizes = np.bincount(clusters, minlength=classes)
    if len(sizes) != classes or not sizes.all():
        raise DataError(
            f"expected pairs in each of {classes} clusters to compare their similarity, found the sizes "
            f"{sizes.tolist()}: name them by examples instead (--map-with 20), or look at them (itrp name)"
        )
    means = np.bincount(clusters, cosines, minlength=classes) / sizes
    order = np.argsort(means, kind="stable")
    mapping = tuple(int(place) for place in np.argsort(order))
    return CosineNames(mapping, *_measure_gap(clusters, cosines, means, sizes, order))


def _measure_gap(
    clusters: NDArray[np.integer],
    cosines: NDArray[np.floating],
    means: NDArray[np.floating],
    sizes: NDArray[np.integer],
    order: NDArray[np.integer],
) -> tuple[float, float]:
    """(gap, z) of the neighbours nearest to each other, by the pooled variance within clusters."""
    freedom = len(cosines) - len(means)
    spread = float(np.sqrt(((cosines - means[clusters]) ** 2).sum() / freedom)) if freedom else 0.0
    steps = np.diff(means[order])
    if spread == 0:
        return (0.0, 0.0) if not freedom or not steps.all() else (float("inf"), float("inf"))
    errors = spread * np.sqrt(1 / sizes[order][1:] + 1 / sizes[order][:-1])
    return float(steps.min() / spread), float((steps / errors).min())


@dataclass(frozen=True)
class ExampleNaming:
    """The protocol `dev-<m>`: mapping and checkpoint as `dev` chooses them, on m labelled pairs of the train split."""

    examples: int
    seed: int = 0

    def __str__(self) -> str:
        return f"dev-{self.examples}"

    def choose(self, task: Task, rounds: Sequence[RoundPredictions], dev_labels: NDArray[np.integer]) -> Choice:
        """Best weighted F1 under its best mapping, on the examples. Raises DataError as `keep_examples` does."""
        few = keep_examples(dev_labels, self.examples, self.seed)
        return choose_round(Protocol.DEV, rounds, few, len(CLASS_NAMES[task]))


@dataclass(frozen=True, eq=False)
class SimilarityNaming:
    """The protocol `joint`: mapping of the last checkpoint by text-image similarity; no label is looked at."""

    cosines: NDArray[np.floating]
    """[n_dev] of the train split's pairs."""

    def __str__(self) -> str:
        return "joint"

    def choose(
        self, task: Task, rounds: Sequence[RoundPredictions], dev_labels: NDArray[np.integer]
    ) -> SimilarityChoice:
        """The last checkpoint, its mapping by `name_by_cosines`. Raises DataError as that does, and for no rounds."""
        if not rounds:
            raise DataError("expected predictions of at least one checkpoint, found none: train a model first")
        last = max(rounds, key=lambda each: each.round)
        names = name_by_cosines(last.dev, self.cosines, len(CLASS_NAMES[task]))
        return SimilarityChoice(last.round, names.mapping, names.gap, names.z, task)
