"""Systems that learn nothing: the majority class, and vanilla clustering.

Vanilla clustering is k-means or a tied Gaussian mixture on the frozen features. The rows "GMM" (55.3 / 69.9 / 39.1) and
"k-means" (59.6 / 70.5 / 44.4) of Table 3 in Sun et al. 2023 (weighted F1, text / image / image-text, test RL) are one
clustering with k = 4, mapped on the test labels: evaluate it with `itrp.evaluation.results.evaluate_relations` under the
protocol `oracle`. With k = 2 it stands beside one task's model.
"""

import numpy as np
from numpy.typing import NDArray

from itrp.clustering.pseudo_labels import Method, fit_clusters
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


def vanilla_rounds(
    train: NDArray[np.floating],
    dev: NDArray[np.floating],
    test: NDArray[np.floating],
    method: Method,
    k: int,
    seed: int,
    n_init: int = 1,
) -> list[RoundPredictions]:
    """The baseline for `itrp.evaluation.results`: one checkpoint, fitted without labels, predicting dev and test.

    train: [n, d], dev: [n_dev, d], test: [n_test, d] frozen features, text and image side by side. Raises
    DataError as `itrp.clustering.pseudo_labels.fit_clusters` does.
    """
    clusters = fit_clusters(train, method, k, seed, n_init)
    return [RoundPredictions(0, clusters.predict(dev), clusters.predict(test))]
