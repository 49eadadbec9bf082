"""Vanilla clustering: k-means or a tied Gaussian mixture on the frozen features, no training at all.

The rows "GMM" (55.3 / 69.9 / 39.1) and "k-means" (59.6 / 70.5 / 44.4) of Table 3 in Sun et al. 2023 (weighted
F1, text / image / image-text, test RL) are one clustering with k = 4, mapped on the test labels: evaluate it
with `itrp.evaluation.results.evaluate_relations` under the protocol `oracle`. With k = 2 it stands beside one task's
model.
"""

import numpy as np
from numpy.typing import NDArray

from itrp.clustering.pseudo_labels import Method, fit_clusters
from itrp.evaluation.results import RoundPredictions


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
