"""Do probabilities mean what they say? Of the pairs with 0.8 about four in five should be of the class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

BINS = 10
DRAWS = 200
"""Of made-up labels, for the error that chance alone makes."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs of like probability."""

    predicted: float
    """Their mean probability of class 1."""
    observed: float
    """The share of them that is of class 1."""
    share: float
    """Of all pairs."""


def bin_reliability(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = BINS
) -> list[ReliabilityBin]:
    """Bins of equal width that hold any pair, in order. labels: [n] 0 or 1. probabilities: [n] of class 1."""
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(float(probabilities[inside].mean()), float(labels[inside].mean()), float(inside.mean()))
        for inside in (place == number for number in np.unique(place))
    ]


def expected_calibration_error(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = BINS
) -> float:
    """Mean distance of predicted from observed over the bins, weighted by their pairs; 0 to 1 (Naeini et al. 2015)."""
    return sum(
        each.share * abs(each.predicted - each.observed) for each in bin_reliability(labels, probabilities, bins)
    )


def chance_calibration_error(probabilities: NDArray[np.floating], seed: int = 0, bins: int = BINS) -> float:
    """The error that probabilities [n] have on average where they mean exactly what they say: that of labels drawn by them.

    With a few labels it is most of what `expected_calibration_error` finds.
    """
    rng = np.random.default_rng(seed)
    draws = (rng.random(len(probabilities)) < probabilities for _ in range(DRAWS))
    return float(
        np.mean([expected_calibration_error(labels.astype(np.int64), probabilities, bins) for labels in draws])
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """Log-odds of a score: slope * score + offset."""

    slope: float
    offset: float

    def probabilities(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n] of class 1."""
        odds = self.slope * np.asarray(scores, dtype=np.float64) + self.offset
        found: NDArray[np.float64] = 0.5 * (1 + np.tanh(odds / 2))  # the logistic function, without overflow
        return found


def fit_calibration(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> Calibration:
    """Platt's scaling (1999) of scores [n] of pairs that what scored them has not learned from. labels: [n] 0 and 1, both there.

    His targets, which are not quite 0 and 1, keep scores that separate a few labels from being called certain. The slope is 0
    at least: where the scores rank worse than chance they say nothing, and every pair gets the share of class 1.
    """
    ones = int(labels.sum())
    zeros = len(labels) - ones
    target = np.where(labels == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    unit = float(np.abs(scores).mean()) or 1.0  # so that the solver's stopping rule fits any scale
    column = np.concatenate([scores, scores])[:, None] / unit
    sides = np.repeat([1, 0], len(labels))
    weights = np.concatenate([target, 1 - target])
    model = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000).fit(column, sides, sample_weight=weights)
    slope = float(model.coef_[0, 0]) / unit
    if slope > 0:
        return Calibration(slope, float(model.intercept_[0]))
    mean = float(target.mean())
    return Calibration(0.0, float(np.log(mean / (1 - mean))))
