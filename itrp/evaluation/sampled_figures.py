"""How good a model is, by n randomly sampled human labels: every figure with its interval, for few labels too.

Only labels of tweets that were drawn at random measure a model. Those that it or another model chose to be asked (least
certain, models that disagree) hold more errors than the collection does.
Shares (accuracy, precision, recall, cells of the confusion matrix) have Wilson's interval, the weighted F1 that of a smoothed
bootstrap. `itrp.evaluation.reliability` has the calibration curve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.evaluation.bootstrap import f1_from_confusion, smoothed_interval
from itrp.evaluation.shares import LEVEL, Share, measure_share, wilson_interval

FEW_LABELS = 100
"""With fewer, the width of the interval is to be said before the figure is."""


@dataclass(frozen=True, slots=True)
class ClassSample:
    """One class of the labels."""

    precision: Share | None
    """Of the tweets predicted as the class, those that are; None where none is predicted."""
    recall: Share | None
    """Of the tweets of the class, those predicted as it; None where no label is of the class."""


@dataclass(frozen=True, eq=False, slots=True)
class SampledFigures:
    """A model's figures on n random labels, for c classes."""

    n: int
    accuracy: Share
    f1: Share
    """Weighted F1."""
    classes: tuple[ClassSample, ...]
    confusion: NDArray[np.int64]
    """[c, c] labels: row = label, column = prediction."""
    cell_low: NDArray[np.float64]
    cell_high: NDArray[np.float64]
    """[c, c]: ends of each cell's interval, as shares of all tweets."""
    caution: str
    """What `caution_few_labels` says."""


def measure_sample(
    labels: NDArray[np.integer],
    predictions: NDArray[np.integer],
    classes: int,
    *,
    seed: int = 0,
    level: float = LEVEL,
) -> SampledFigures:
    """Figures of predictions [n] against labels [n], both class indices below `classes`, by a random sample of tweets.

    seed: of the bootstrap. Raises DataError for no label, lengths that differ, and other class indices.
    """
    confusion = count_confusion(labels, predictions, classes)
    n, hits = int(confusion.sum()), np.diagonal(confusion)
    accuracy = measure_share(int(hits.sum()), n, level=level)
    f1 = Share(float(f1_from_confusion(confusion)), *smoothed_interval(confusion, seed=seed, level=level), n)
    low, high = wilson_interval(confusion / n, n, level)
    return SampledFigures(
        n=n,
        accuracy=accuracy,
        f1=f1,
        classes=tuple(
            ClassSample(_share(hit, predicted, level), _share(hit, support, level))
            for hit, predicted, support in zip(hits, confusion.sum(axis=0), confusion.sum(axis=1), strict=True)
        ),
        confusion=confusion,
        cell_low=low,
        cell_high=high,
        caution=caution_few_labels(accuracy, level),
    )


def count_confusion(labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Confusion matrix [c, c] of class indices [n]: row = label, column = prediction. Raises DataError as `measure_sample`."""
    label, prediction = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    if not len(label) or label.shape != prediction.shape:
        raise DataError(
            f"expected one prediction a label and at least one label, found {len(label)} labels and {len(prediction)} "
            "predictions: label some tweets of the random queue, and score them"
        )
    least, most = min(label.min(), prediction.min()), max(label.max(), prediction.max())
    if least < 0 or most >= classes:
        raise DataError(f"expected class indices from 0 to {classes - 1}, found {least if least < 0 else most}")
    return np.bincount(label * classes + prediction, minlength=classes * classes).reshape(classes, classes)


def caution_few_labels(accuracy: Share, level: float = LEVEL) -> str:
    """With fewer than `FEW_LABELS` labels, how wide the accuracy's interval is and what more would make of it; else empty."""
    if accuracy.n >= FEW_LABELS:
        return ""
    expected = []
    for n in (FEW_LABELS, 4 * FEW_LABELS):
        low, high = wilson_interval(accuracy.value, n, level)
        expected.append(f"{n} labels would make it about {100 * float(high - low):.0f}")
    return (
        f"{accuracy.n} labels only: the {100 * level:g} % interval of the accuracy is {100 * accuracy.width:.0f} points wide; "
        f"{', '.join(expected)}."
    )


def _share(positives: int, n: int, level: float) -> Share | None:
    return measure_share(int(positives), int(n), level=level) if n else None
