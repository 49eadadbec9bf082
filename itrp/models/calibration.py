"""Scores made probabilities; `itrp.evaluation.reliability` says whether they mean what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression


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
