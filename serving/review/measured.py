"""How good a pair of models' labels are, and how many tweets of each kind there are: from people's random labels alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter
from infra.catalog.current_labels import CurrentLabel, settled_labels
from infra.catalog.review_tables import REVIEWED_LAYOUT, IndexedTweet, ModelPair, TweetLabel
from infra.catalog.tables import Dataset, ModelRun
from itrp.data.splits import assign_split
from itrp.evaluation.prediction_moments import PredictionMoments, moments_of_classes
from itrp.evaluation.prediction_powered import EstimatedShare, estimate_share, estimate_shares, labels_to_halve
from itrp.evaluation.reliability import ReliabilityBin, bin_reliability
from itrp.evaluation.sampled_figures import SampledFigures, measure_sample
from itrp.labels import RELATIONS, UNLABELLED, Task, combine_labels

AT_ONCE = 500
"""Tweets a statement."""


@dataclass(frozen=True)
class Sample:
    """Tweets with random labels, beside what a pair of models says of them and of all others."""

    rows: tuple[tuple[int, int, int, float, float], ...]
    """Label of text and image (UNLABELLED for none), the models' relation, and both probabilities, a tweet."""
    counts: tuple[int, ...]
    """Tweets of the whole collection by the models' relation, 2 * text + image: the labelled ones included."""
    held_out: bool = False
    """Whether one of the models has learned from half of the random labels, so that only the other half is in the rows."""


@dataclass(frozen=True)
class Estimate:
    """The share of one kind of tweets in the collection."""

    name: str
    share: EstimatedShare
    to_halve: int | None
    """Random labels more that make the interval half as wide; None where the collection has not so many tweets."""


@dataclass(frozen=True)
class TaskQuality:
    """How good the labels of one task are."""

    figures: SampledFigures
    curve: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class HowGood:
    """Everything the page says of a pair of models; what has no random label yet is None or empty."""

    text: TaskQuality | None
    image: TaskQuality | None
    relations: SampledFigures | None
    estimates: tuple[Estimate, ...]
    """That the text is shown, that the image adds, then the four relations."""
    population: int
    """Tweets that the models have labelled."""


def collect_sample(
    session: Session, dataset_id: int, pair: ModelPair, labels: Iterable[CurrentLabel] | None = None
) -> Sample:
    """The random labels of a data set and the pair's predictions. labels: all that hold, where they have been read already.

    Tweets that the pair has not labelled are left out; so is, where one of the models has learned from the data set `reviewed`,
    that data set's train split.
    """
    held_out = _has_learned_from_people(session, pair)
    said: dict[str, dict[str, int]] = {}
    for each in settled_labels(session, AnnotationFilter(dataset_id=dataset_id), random=True, labels=labels):
        if not held_out or assign_split(each.tweet_id) == "test":
            said.setdefault(each.tweet_id, {})[each.task] = each.value
    rows = []
    for start in range(0, len(said), AT_ONCE):
        some = [*said][start : start + AT_ONCE]
        query = (
            select(IndexedTweet.tweet_id, TweetLabel)
            .join(TweetLabel, (TweetLabel.tweet == IndexedTweet.id) & (TweetLabel.pair_id == pair.id))
            .where(IndexedTweet.dataset_id == dataset_id, IndexedTweet.tweet_id.in_(some))
        )
        for tweet_id, label in session.execute(query):
            text, image = (said[tweet_id].get(task, UNLABELLED) for task in ("text", "image"))
            rows.append((text, image, label.relation, label.text_probability, label.image_probability))
    return Sample(tuple(sorted(rows)), _count_relations(session, dataset_id, pair), held_out)


def _has_learned_from_people(session: Session, pair: ModelPair) -> bool:
    """Whether one of the versions was trained on the labels that are about to measure it."""
    versions = ((Task.TEXT, pair.text_version), (Task.IMAGE, pair.image_version))
    query = (
        select(ModelRun.id)
        .join(Dataset, Dataset.id == ModelRun.dataset_id)
        .where(Dataset.layout == REVIEWED_LAYOUT, tuple_(ModelRun.task, ModelRun.model_version).in_(versions))
    )
    return session.scalars(query.limit(1)).first() is not None


def _count_relations(session: Session, dataset_id: int, pair: ModelPair) -> tuple[int, ...]:
    """Tweets by relation, of the index, which holds the labelled ones too. A third of a second for a million."""
    query = (
        select(TweetLabel.relation, func.count())
        .where(TweetLabel.dataset_id == dataset_id, TweetLabel.pair_id == pair.id)
        .group_by(TweetLabel.relation)
    )
    counts = {found[0]: found[1] for found in session.execute(query)}
    return tuple(counts.get(relation, 0) for relation in range(len(RELATIONS)))


@lru_cache(maxsize=32)
def measure(sample: Sample) -> HowGood:
    """All figures and estimates of a sample. The same sample gives the same figures: the bootstraps are seeded."""
    text, image, predicted, text_probability, image_probability = _columns(sample)
    relation = combine_labels(text, image)
    known = relation != UNLABELLED
    return HowGood(
        text=_measure_task(text, predicted // 2, text_probability),
        image=_measure_task(image, predicted % 2, image_probability),
        relations=measure_sample(relation[known], predicted[known], len(RELATIONS)) if known.any() else None,
        estimates=(
            *_estimate_task("the picture shows what the text says", text, predicted // 2, sample.counts, (2, 3)),
            *_estimate_task("the picture adds to the tweet", image, predicted % 2, sample.counts, (1, 3)),
            *_estimate_relations(relation[known], predicted[known], sample.counts),
        ),
        population=sum(sample.counts),
    )


def _columns(sample: Sample) -> tuple[NDArray[np.int64], ...]:
    """Labels of text and image, relations and probabilities, [n] each."""
    columns = [*zip(*sample.rows, strict=True)] or [()] * 5
    kinds: Sequence[type] = (np.int64, np.int64, np.int64, np.float64, np.float64)
    return tuple(np.asarray(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True))


def _measure_task(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.int64]
) -> TaskQuality | None:
    known = labels != UNLABELLED
    if not known.any():
        return None
    figures = measure_sample(labels[known], predicted[known], 2)
    return TaskQuality(figures, tuple(bin_reliability(labels[known], probabilities[known])))


def _estimate_task(
    name: str,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    counts: tuple[int, ...],
    positive: tuple[int, int],
) -> list[Estimate]:
    """The share of the tweets of class 1 of a task."""
    known = labels != UNLABELLED
    if not known.any():
        return []
    share = sum(counts[each] for each in positive) / sum(counts)
    others = PredictionMoments(sum(counts), share, share * (1 - share)).leave_out(predicted[known])
    found = estimate_share(labels[known], predicted[known], others)
    return [Estimate(name, found, labels_to_halve(found))]


def _estimate_relations(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], counts: tuple[int, ...]
) -> list[Estimate]:
    if not len(labels):
        return []
    others = [moments.leave_out(predicted == number) for number, moments in enumerate(moments_of_classes(counts))]
    shares = estimate_shares(labels, predicted, others)
    return [Estimate(code, share, labels_to_halve(share)) for code, share in zip(RELATIONS, shares, strict=True)]
