"""The system that looks at nothing: every pair gets the most frequent class of the labelled train split."""

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.evaluation.results import RoundPredictions
from itrp.labels import UNLABELLED


def majority_class(dev_labels: NDArray[np.integer]) -> int:
    """The most frequent class of [n] labels, unlabelled rows left out; of equally frequent ones the smallest.

    Raises DataError when nothing is labelled.
    """
    labelled = np.asarray(dev_labels)[np.asarray(dev_labels) != UNLABELLED]
    if not len(labelled):
        raise DataError("expected labelled pairs to find the majority class, found none: ingest a labelled data set")
    return int(np.bincount(labelled).argmax())


def predict_majority(dev_labels: NDArray[np.integer], n: int) -> NDArray[np.int64]:
    """The majority class of the labels n times, [n]. Raises DataError as `majority_class` does."""
    return np.full(n, majority_class(dev_labels), dtype=np.int64)


def majority_rounds(n_dev: int, n_test: int) -> list[RoundPredictions]:
    """The baseline for `itrp.evaluation.results.evaluate`: one checkpoint that puts every pair into one cluster.

    The best mapping then names this cluster by the majority class, under every protocol by the labels which
    that protocol may see.
    """
    return [RoundPredictions(0, np.zeros(n_dev, dtype=np.int64), np.zeros(n_test, dtype=np.int64))]
