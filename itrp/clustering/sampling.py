"""Which pairs of a subset are trained on: METHOD step 3, balancing by pseudo-label with imbalanced-learn."""

from typing import Literal

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import NDArray

from itrp.errors import DataError

Strategy = Literal["under", "over", "combination", "random"]
"""under: every cluster cut to the smallest. over: every cluster raised to the largest by random duplicates.
combination: every cluster to n // k, cut or raised. random: no balancing, every pair once."""


def balance_indices(pseudo_labels: NDArray[np.integer], strategy: Strategy, seed: int) -> NDArray[np.int64]:
    """Indices [m] int64 of the pairs to train on, ascending; a duplicated pair stands as often as drawn.

    pseudo_labels: [n] clusters; only those that occur count, k is their number. The order carries no draw:
    the trainer permutes the batches. A single cluster is balanced already: all indices, whatever the
    strategy. Raises DataError for no pairs and another strategy.
    """
    if strategy not in ("under", "over", "combination", "random"):
        raise DataError(f"expected the sampling under, over, combination or random, found {strategy!r}")
    labels = np.asarray(pseudo_labels)
    if not len(labels):
        raise DataError("expected pseudo-labels of at least one pair, found none: use a larger subset")
    clusters, sizes = np.unique(labels, return_counts=True)
    indices = np.arange(len(labels), dtype=np.int64)
    if strategy == "random":
        return indices
    target = {"under": sizes.min(), "over": sizes.max(), "combination": len(labels) // len(clusters)}[strategy]
    return np.sort(_resample(indices, labels, int(target), seed))


def _resample(indices: NDArray[np.int64], labels: NDArray[np.integer], target: int, seed: int) -> NDArray[np.int64]:
    """Bring every cluster to `target` indices: the larger are cut, then the smaller raised."""
    clusters, sizes = np.unique(labels, return_counts=True)
    table = indices.reshape(-1, 1)  # (n, 1), the samplers want a table
    cut = {c: target for c, size in zip(clusters.tolist(), sizes, strict=True) if size > target}
    raised = {c: target for c, size in zip(clusters.tolist(), sizes, strict=True) if size < target}
    # A sampler is called only where it has work: imbalanced-learn rejects a single class.
    if cut:
        table, labels = RandomUnderSampler(sampling_strategy=cut, random_state=seed).fit_resample(table, labels)
    if raised:
        table, _ = RandomOverSampler(sampling_strategy=raised, random_state=seed).fit_resample(table, labels)
    return table.ravel()
