"""Logistic regression on a few labels: its regularisation chosen, and its probabilities calibrated, by cross-validation.

With fewer labels than features every solution lies in the span of the labelled rows, so all fits are made in their
coordinates there: the same weights, in milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from itrp.alignment.gate import area
from itrp.errors import DataError
from itrp.evaluation.reliability import chance_calibration_error, expected_calibration_error
from itrp.evaluation.results import weighted_f1
from itrp.models.calibration import Calibration, fit_calibration
from itrp.randomness import round_seed

STRENGTHS = tuple(10.0 ** (step / 2) for step in range(-4, 7))
"""Values of C that are tried: a block of standardised features has a variance of one in all."""
REPEATED_LABELS = 1000
"""Cross-validation is repeated until it has judged about so many labels: with few, one split is luck."""
MOST_REPEATS = 5
TRIALS = 20
"""Splits that are drawn before one class is taken to hang together too much."""

Split = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""(learned from, judged) rows of each fold; every row is judged once."""


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head on d features, and what cross-validation says about it."""

    weights: NDArray[np.float64]
    """[d]"""
    intercept: float
    calibration: Calibration
    strength: float
    """C, the inverse of the regularisation."""
    labels: NDArray[np.int64]
    """[n] it was fitted on."""
    held_out: NDArray[np.float64]
    """[repeats, n] calibrated probabilities of class 1, each by a head and a calibration that have not seen the label."""

    @property
    def counts(self) -> tuple[int, int]:
        """Labels of class 0 and of class 1."""
        ones = int(self.labels.sum())
        return len(self.labels) - ones, ones

    def figures(self) -> list[tuple[str, float]]:
        """(name, value) to log; those of the cross-validation are means over its repeats.

        cv_ece_chance is the calibration error that so many labels would show of probabilities that mean what they say.
        """
        f1 = np.mean([weighted_f1(self.labels, (row >= 0.5).astype(np.int64)) for row in self.held_out])
        auc = np.mean([area(row[self.labels == 1], row[self.labels == 0]) for row in self.held_out])
        ece = np.mean([expected_calibration_error(self.labels, row) for row in self.held_out])
        chance = chance_calibration_error(self.held_out[0])
        zeros, ones = self.counts
        return [
            *(("cv_f1", float(f1)), ("cv_auc", float(auc)), ("cv_ece", float(ece)), ("cv_ece_chance", chance)),
            *(("labels_0", float(zeros)), ("labels_1", float(ones)), ("C", self.strength)),
        ]


def fit_head(
    features: NDArray[np.floating], labels: NDArray[np.int64], groups: NDArray[np.integer], *, folds: int, seed: int
) -> FittedHead:
    """The same for the same seed. features: [n, d], standardised. labels: [n] 0 or 1, two of each at least in groups of their
    own. groups: [n] equal where pairs share a text or an image.

    Raises DataError where no split leaves both classes to learn from.
    """
    rows, span = _reduce(features)
    splits = draw_splits(labels, groups, folds, seed)
    scores = {strength: _score_held_out(rows, labels, splits, strength) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda each: _log_loss(labels, scores[each]))
    chosen, model = scores[strength], _fit(rows, labels, strength)
    everything = np.tile(labels, len(chosen))
    return FittedHead(
        weights=span @ model.coef_[0],
        intercept=float(model.intercept_[0]),
        calibration=fit_calibration(everything, chosen.ravel()),
        strength=strength,
        labels=labels,
        held_out=np.stack([_calibrate_held_out(labels, row, split) for row, split in zip(chosen, splits, strict=True)]),
    )


def draw_splits(labels: NDArray[np.int64], groups: NDArray[np.integer], folds: int, seed: int) -> list[Split]:
    """As many repeats as the number of labels asks for, stratified; whole groups are in one fold. Raises DataError."""
    fewest = min(len(np.unique(groups[labels == each])) for each in (0, 1))
    repeats = int(np.clip(REPEATED_LABELS // len(labels), 1, MOST_REPEATS))
    return [_draw_split(labels, groups, min(folds, fewest), round_seed(seed, number)) for number in range(repeats)]


def _draw_split(labels: NDArray[np.int64], groups: NDArray[np.integer], folds: int, seed: int) -> Split:
    for trial in range(TRIALS if folds > 1 else 0):
        cut = StratifiedGroupKFold(folds, shuffle=True, random_state=(seed + trial) % 2**32)
        split = list(cut.split(labels[:, None], labels, groups))
        if all(len(np.unique(labels[learned])) == 2 and len(judged) for learned, judged in split):
            return split
    raise DataError(
        "expected labelled pairs of both classes with texts and images of their own to hold some out, found one class that hangs "
        "together by equal texts or images: label more pairs of the rarer class"
    )


def _reduce(features: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """([n, r] coordinates of the rows in their span, [d, r] the span), r <= min(n, d)."""
    left, values, right = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    kept = values > values[0] * 1e-9
    return left[:, kept] * values[kept], right[kept].T


def _fit(rows: NDArray[np.float64], labels: NDArray[np.int64], strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=2000, tol=1e-5).fit(rows, labels)


def _score_held_out(
    rows: NDArray[np.float64], labels: NDArray[np.int64], splits: Sequence[Split], strength: float
) -> NDArray[np.float64]:
    """[repeats, n] log-odds of each pair by a head that has not seen it."""
    scores = np.empty((len(splits), len(labels)))
    for place, split in enumerate(splits):
        for learned, judged in split:
            scores[place, judged] = _fit(rows[learned], labels[learned], strength).decision_function(rows[judged])
    return scores


def _log_loss(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Mean over all repeats."""
    return float(np.logaddexp(0, np.where(labels == 1, -scores, scores)).mean())


def _calibrate_held_out(labels: NDArray[np.int64], scores: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """[n] probabilities, the calibration of each fold made from the others."""
    found = np.empty(len(labels))
    for learned, judged in split:
        found[judged] = fit_calibration(labels[learned], scores[learned]).probabilities(scores[judged])
    return found
