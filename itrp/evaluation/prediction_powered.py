"""How many of a collection's tweets are of a class: few human labels together with a model's predictions on all of it.

Prediction-powered inference with power tuning (Angelopoulos, Duchi and Zrnic, "PPI++: Efficient prediction-powered inference",
2023, arXiv 2311.01453): the human share, moved by what the model's predictions on the other tweets differ from its predictions
on the labelled ones, times a weight (lambda) between 0 and 1 that is tuned on the same data. The model need not be right: a
biased one leaves no bias, and a useless one gets the weight 0. Estimate and weight are those of the package ppi-python.

The interval is not PPI++'s normal one, which has no width where the labels show no positive, or no error of the model, and
covers 60 % for a share of 1 % and 100 labels. The estimator's variance is written as that of a sample of more labels than
there are (effective labels), and Wilson's interval is taken of these, as for shares in complex surveys (Korn and Graubard,
"Confidence intervals for proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24, 1998; Dean and Pagano, "Evaluating confidence interval methods for binomial proportions in clustered surveys",
Journal of Survey Statistics and Methodology 3, 2015). What the model explains is measured on the labels and half a label more
in each of the four cells (label, prediction), so that "no error seen" is not taken for "no error" (Agresti and Min, "Simple
improved confidence intervals for comparing matched proportions", Statistics in Medicine 24, 2005). Without a useful model this
is Wilson's interval of the human labels.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError, WrongUseError
from itrp.evaluation.prediction_moments import PredictionMoments
from itrp.evaluation.shares import LEVEL, Share, bound_by_labels, measure_share, wilson_interval

Of = Literal["collection", "source"]
"""Whose share: of the tweets that are there, or of what they are a sample of (PPI++'s own question; never narrower)."""

ADDED = 0.5
"""Labels added to each cell (label, prediction) before the variance is measured."""

IMBALANCED = 4.0
"""Standard errors beyond which the labels are no random sample of the collection, and no estimate is to be trusted."""
SPREAD = 1e-12
"""Variance of predictions below which they are all the same but for rounding."""


@dataclass(frozen=True, slots=True)
class EstimatedShare:
    """Share of a class by labels and predictions together, beside what either says alone."""

    value: float
    """PPI++'s estimate, 0 to 1."""
    low: float
    high: float
    weight: float
    """Lambda, 0 to 1: how much the predictions count."""
    explained: float
    """Share of the labels' variance that the predictions explain, cautiously; at most 1, below 0 where they do harm."""
    effective_labels: float
    """How many labels alone would give an interval like this one; infinite where all are labelled and the collection is asked."""
    human: Share
    """The labels alone."""
    model: float
    """Mean prediction of the whole collection: with whatever bias the model has."""
    imbalance: float
    """Standard errors between the mean prediction of the labelled tweets and of the others: with labels drawn at random below 2
    in 95 of 100 cases, and hardly ever above `IMBALANCED`."""
    n: int
    """Labels."""
    population: int
    """Tweets of the collection, labelled ones included."""
    of: Of
    level: float

    @property
    def width(self) -> float:
        """Of the interval, 0 to 1."""
        return self.high - self.low


def estimate_share(
    labels: NDArray[np.integer],
    predictions: NDArray[np.floating] | NDArray[np.integer],
    others: PredictionMoments,
    *,
    of: Of = "collection",
    level: float = LEVEL,
    weight: float | None = None,
) -> EstimatedShare:
    """Share of positives in a collection of n + others.count tweets, of which n are labelled, drawn at random.

    labels: [n] 0 or 1. predictions: [n] of the same tweets, 0 or 1 or probabilities, by a model that has not learned from these
    labels. others: the same model's predictions on all other tweets. weight: lambda, tuned here unless it is given.
    Raises DataError for no label, lengths that differ, labels other than 0 and 1, or predictions outside of 0 to 1.
    """
    label, prediction = _check(labels, predictions, of)
    n, population, positives = len(label), len(label) + others.count, int(label.sum())
    weight = tune_weight([label], [prediction], [others]) if weight is None else weight
    value = label.mean() + weight * (others.mean - prediction.mean())
    least, most = (positives, population - n + positives) if of == "collection" else (0, population)
    value = float(np.clip(value, least / population, most / population))
    explained = _measure_explained(label, prediction, others, weight, of)
    effective = count_effective_labels(n, population, explained, of)
    low, high = map(float, wilson_interval(value, effective, level))
    if of == "collection":
        low, high = bound_by_labels(low, high, positives, n, population)
    return EstimatedShare(
        value=value,
        low=low,
        high=high,
        weight=weight,
        explained=explained,
        effective_labels=effective,
        human=measure_share(positives, n, level=level, population=population if of == "collection" else None),
        imbalance=_measure_imbalance(prediction, others),
        model=float(prediction.sum() + others.count * others.mean) / population,
        n=n,
        population=population,
        of=of,
        level=level,
    )


def estimate_shares(
    labels: NDArray[np.integer],
    predictions: NDArray[np.integer] | NDArray[np.floating],
    others: Sequence[PredictionMoments],
    *,
    of: Of = "collection",
    level: float = LEVEL,
) -> list[EstimatedShare]:
    """The share of every class at once, in the order of `others`, with one weight for all so that they add up to 1.

    labels: [n] class indices. predictions: [n] class indices, or [n, c] probabilities. others: of each class's indicator or
    probability (`moments_of_classes` makes them of counts). The weight is the best for all classes together, as in ppi-python;
    `estimate_share` of one class may be narrower. Each interval covers its own share with `level`, not all of them together.
    """
    label = _split_classes(labels, len(others), "labels")
    prediction = _split_classes(predictions, len(others), "predictions")
    for each in zip(label, prediction, strict=True):
        _check(*each, of)
    weight = tune_weight(label, prediction, others)
    return [
        estimate_share(one.astype(np.int64), two, rest, of=of, level=level, weight=weight)
        for one, two, rest in zip(label, prediction, others, strict=True)
    ]


def tune_weight(
    labels: Sequence[NDArray[np.floating]],
    predictions: Sequence[NDArray[np.floating]],
    others: Sequence[PredictionMoments],
) -> float:
    """PPI++'s lambda, 0 to 1, for the shares of one class or, all together, of several: [c] arrays [n] of each.

    cov(label, prediction) / ((1 + n/N) var(prediction)), the variance over all n + N predictions; both summed over the classes.
    """
    covariance = variance = 0.0
    for label, prediction, rest in zip(labels, predictions, others, strict=True):
        covariance += float(((label - label.mean()) * (prediction - prediction.mean())).mean())
        together = PredictionMoments.of(prediction).join(rest)
        variance += together.variance * together.count / max(together.count - 1, 1)
    if not others[0].count or variance < SPREAD:
        return 0.0
    return float(np.clip(covariance / ((1 + len(labels[0]) / others[0].count) * variance), 0, 1))


def count_effective_labels(n: int, population: int, explained: float, of: Of) -> float:
    """How many labels alone, drawn with replacement, tell as much as n of them and predictions that explain so much (r^2).

    The variance of one label is cut to 1 - r^2 N/M for the source, and to (1 - n/M)(1 - r^2) for the collection; n + N = M.
    """
    unlabelled = 1 - n / population
    left = 1 - explained * unlabelled if of == "source" else unlabelled * (1 - explained)
    return n / left if left > 0 else float("inf")


def labels_to_halve(share: EstimatedShare, *, with_model: bool = True) -> int | None:
    """How many more random labels make the interval half as wide, if shares and model stay as they are.

    with_model: of the estimate, or else of the human labels alone. None where the collection has not so many tweets, and for
    an interval that has no width.
    """
    value, explained = (share.value, share.explained) if with_model else (share.human.value, 0.0)

    def width(n: int) -> float:
        effective = count_effective_labels(n, share.population, explained, share.of)
        low, high = wilson_interval(value, effective, share.level)
        return float(high - low)

    target = width(share.n) / 2
    if not target or width(share.population) > target:
        return None
    return 1 + bisect_left(range(share.n + 1, share.population), True, key=lambda n: width(n) <= target)


def _measure_explained(
    labels: NDArray[np.float64], predictions: NDArray[np.float64], others: PredictionMoments, weight: float, of: Of
) -> float:
    """r^2 of the labels by weighted predictions, with `ADDED` labels in each of the four cells."""
    if not weight:
        return 0.0
    n, count = len(labels), others.count
    label = np.concatenate([labels, [0, 0, 1, 1]])
    prediction = np.concatenate([predictions, [0, 1, 0, 1]])
    counts = np.concatenate([np.ones(n), np.full(4, ADDED)])
    spread = _variance(label, counts)
    if of == "collection":  # the difference from the mean prediction of all, not of the others: n + N instead of N
        return 1 - _variance(label - weight * (n + count) / count * prediction, counts) / spread
    left = _variance(label - weight * prediction, counts) + n / count * weight**2 * others.variance
    return (1 - left / spread) * (n + count) / count


def _measure_imbalance(predictions: NDArray[np.float64], others: PredictionMoments) -> float:
    """Standard errors between the means, 0 without others; infinite where the others are all the same, and these are not."""
    distance = abs(float(predictions.mean()) - others.mean) if others.count else 0.0
    if distance < SPREAD:
        return 0.0
    variance = others.variance / len(predictions) + others.variance / others.count
    return distance / float(np.sqrt(variance)) if variance > SPREAD else float("inf")


def _variance(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    mean = np.average(values, weights=counts)
    return float(np.average((values - mean) ** 2, weights=counts))


def _split_classes(
    found: NDArray[np.integer] | NDArray[np.floating], classes: int, name: str
) -> list[NDArray[np.float64]]:
    """A column [n] a class: of class indices [n] their indicators, of probabilities [n, c] theirs."""
    values = np.asarray(found)
    if values.ndim == 2:
        if values.shape[1] != classes:
            raise DataError(f"expected a column a class, found {values.shape[1]} columns and {classes} classes")
        return list(values.T.astype(np.float64))
    if not np.isin(values, range(classes)).all():
        raise DataError(f"expected {name} from 0 to {classes - 1}, found {sorted(set(values.tolist()))}")
    return [(values == each).astype(np.float64) for each in range(classes)]


def _check(
    labels: NDArray[np.integer] | NDArray[np.floating], predictions: NDArray[np.floating] | NDArray[np.integer], of: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    label, prediction = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if of not in ("collection", "source"):
        raise WrongUseError(f"expected the share of the collection or of the source, found {of!r}")
    if not len(label) or label.shape != prediction.shape:
        raise DataError(
            f"expected one prediction a label and at least one label, found {label.shape} labels and "
            f"{prediction.shape} predictions: label some tweets of the random queue, and score them"
        )
    if not np.isin(label, (0, 1)).all():
        raise DataError(f"expected labels 0 and 1, found {sorted(set(label.tolist()))}: leave out unlabelled tweets")
    if not ((prediction >= 0) & (prediction <= 1)).all():
        raise DataError("expected predictions from 0 to 1, found others: leave out tweets without a prediction")
    return label, prediction
