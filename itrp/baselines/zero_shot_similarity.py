"""Zero-shot by similarity: one threshold on the cosine of a text's and an image's vector (CLIP, Radford et al. 2021).

Nothing is trained. For the text task a cosine of at least the threshold means that the text is represented in the
image. For the image task the labels also say on which side images add to the meaning. Threshold and side are
chosen on the labels that the protocol may see, so the classes carry their names: no permutation follows.
The cosines come from `itrp.models.dual_encoder.DualEncoder.cosines`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError, WrongUseError
from itrp.evaluation.protocols import Protocol, RoundPredictions
from itrp.labels import UNLABELLED, Task

_OUTSIDE = 2.0
"""No cosine reaches it: the threshold above which nothing lies, and its negative, above which everything does."""


@dataclass(frozen=True)
class Threshold:
    """Where the cosine is cut, and what that was worth on the labels it was chosen on."""

    value: float
    above: int
    """The class of cosines of at least `value`; the others are of class 1 - above."""
    f1: float
    """Weighted F1, 0 to 1, on the labels it was chosen on."""

    def classify(self, cosines: NDArray[np.floating]) -> NDArray[np.int64]:
        """[n] cosines -> [n] classes 0 or 1."""
        # in double precision, as the threshold was chosen: NumPy would round it to the cosines' single precision
        return np.where(np.asarray(cosines, dtype=np.float64) >= self.value, self.above, 1 - self.above).astype(
            np.int64
        )


def choose_threshold(
    cosines: NDArray[np.floating], labels: NDArray[np.integer], sides: tuple[int, ...] = (1,)
) -> Threshold:
    """The threshold with the best weighted F1 over the labelled rows.

    cosines: [n]. labels: [n] 0, 1 or UNLABELLED (left out). sides: the classes that may lie above the threshold.
    Thresholds lie in the middle between neighbouring cosines, and beyond both ends. All are judged at once from the
    counts of labels above them. Of equally good ones the first side and then the lowest threshold is taken. Raises
    DataError for lengths that differ, no labelled row, other labels, and cosines that are no numbers.
    """
    values, positive = _keep_labelled(cosines, labels)
    thresholds = _list_thresholds(values)
    order = np.argsort(values)
    values, positive = values[order], positive[order]
    below = np.searchsorted(values, thresholds)  # how many lie below each threshold
    positive_below = np.concatenate(([0], np.cumsum(positive)))[below]
    scores = [_score(below, positive_below, len(values), int(positive.sum()), side) for side in sides]
    side, place = np.unravel_index(int(np.argmax(scores)), (len(sides), len(thresholds)))
    return Threshold(float(thresholds[place]), sides[side], float(scores[side][place]))


def choose_task_threshold(
    protocol: Protocol,
    task: Task,
    dev_cosines: NDArray[np.floating],
    dev_labels: NDArray[np.integer],
    test_cosines: NDArray[np.floating],
    test_labels: NDArray[np.integer] | None = None,
) -> Threshold:
    """`choose_threshold` on the labels that the protocol may see: the test labels under `oracle`, else the dev labels.

    Raises DataError as `choose_threshold` does and for test labels under the wrong protocol, WrongUseError for the
    image-text task, which is the text and the image task's answers together.
    """
    if task is Task.IMAGE_TEXT:
        raise WrongUseError("one threshold separates two classes: evaluate the text and the image task together")
    if (protocol is Protocol.ORACLE) != (test_labels is not None):
        found = "none" if test_labels is None else "some"
        raise DataError(f"expected test labels under the protocol oracle and no other, found {found} under {protocol}")
    sides = (1,) if task is Task.TEXT else (1, 0)
    if test_labels is not None:
        return choose_threshold(test_cosines, test_labels, sides)
    return choose_threshold(dev_cosines, dev_labels, sides)


def similarity_rounds(
    threshold: Threshold, dev_cosines: NDArray[np.floating], test_cosines: NDArray[np.floating]
) -> list[RoundPredictions]:
    """The baseline for `itrp.evaluation.results`: one checkpoint whose clusters are the classes by name.

    dev_cosines: [n_dev]. test_cosines: [n_test]. Evaluate it under the protocol that the threshold was chosen for.
    """
    return [RoundPredictions(0, threshold.classify(dev_cosines), threshold.classify(test_cosines))]


def _keep_labelled(
    cosines: NDArray[np.floating], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(cosines, whether the label is 1) of the labelled rows."""
    if len(cosines) != len(labels):
        raise DataError(f"expected one label a pair, found {len(cosines)} cosines and {len(labels)} labels")
    labelled = np.asarray(labels) != UNLABELLED
    values: NDArray[np.float64] = np.asarray(cosines, dtype=np.float64)[labelled]
    labels = np.asarray(labels)[labelled]
    if not len(labels):
        raise DataError("expected labelled pairs to choose a threshold on, found none: ingest a labelled data set")
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"expected the labels 0 and 1, found {sorted(set(labels.tolist()) - {0, 1})}: give one task's")
    if not np.isfinite(values).all():
        raise DataError(f"expected cosines, found {int((~np.isfinite(values)).sum())} that are no finite number")
    return values, labels == 1


def _list_thresholds(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """[t] ascending: one below all cosines, one between any two neighbours, one above all."""
    distinct = np.unique(cosines)
    # in double precision the middle of two neighbouring single-precision numbers lies between them
    return np.concatenate(([-_OUTSIDE], (distinct[1:] + distinct[:-1]) / 2, [_OUTSIDE]))


def _score(
    below: NDArray[np.integer], positive_below: NDArray[np.integer], n: int, positives: int, above: int
) -> NDArray[np.float64]:
    """[t] weighted F1 of every threshold, given how many of the n rows lie below it and how many of those are of class 1."""
    predicted = n - below if above == 1 else below  # rows called 1
    hits = positives - positive_below if above == 1 else positive_below
    zero_hits = (n - predicted) - (positives - hits)
    negatives = n - positives
    one = 2 * hits / np.maximum(predicted + positives, 1)
    zero = 2 * zero_hits / np.maximum((n - predicted) + negatives, 1)
    score: NDArray[np.float64] = (positives * one + negatives * zero) / n
    return score
