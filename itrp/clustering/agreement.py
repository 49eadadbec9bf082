"""Quality of a clustering without any label: do runs agree, are clusters even, is the model sure?"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from itrp.clustering.mapping import Mapping, apply_mapping, best_mapping
from itrp.errors import DataError


def align_clusters(reference: NDArray[np.integer], other: NDArray[np.integer], k: int) -> Mapping:
    """The renaming of `other`'s clusters that agrees best with `reference`: index other's, value reference's.

    reference, other: [n] clusters in 0..k-1 of the same pairs. Ties: the lexicographically first. Raises
    DataError for no pairs, different lengths or numbers outside 0..k-1.
    """
    reference, other = np.asarray(reference), np.asarray(other)
    if len(reference) and reference.min() < 0:
        raise DataError(f"expected clusters from 0 to {k - 1}, found {reference.min()}: pass clusters, not labels")
    return best_mapping(other, reference, k)


def agreement(reference: NDArray[np.integer], other: NDArray[np.integer], k: int) -> float:
    """Share of the pairs in the same cluster after alignment: 1 = the same partition, about 1/k = none.

    Arguments and errors as for `align_clusters`.
    """
    renamed = apply_mapping(other, align_clusters(reference, other, k))
    return float((renamed == np.asarray(reference)).mean())


def mean_pairwise_agreement(
    runs: Sequence[NDArray[np.integer]], k: int | None = None, *, named: bool = False
) -> float | None:
    """Mean agreement over all pairs of runs (seeds), each [n] clusters; None for fewer than two runs.

    k: number of clusters, by default one more than the largest number that occurs in any run. `named`: the numbers are
    classes and mean the same in every run, so nothing is aligned.
    """
    if len(runs) < 2:
        return None
    clusters = k if k is not None else _count_clusters(runs)
    same = _share_of_equals if named else lambda first, second: agreement(first, second, clusters)
    return float(np.mean([same(first, second) for first, second in combinations(runs, 2)]))


def unanimous_share(runs: Sequence[NDArray[np.integer]], k: int | None = None, *, named: bool = False) -> float | None:
    """Share of the pairs that all runs (seeds) put into the same cluster after alignment; None for fewer than two runs.

    The runs are aligned with one of them. Each is tried as that one and the largest share counts, so that the order of
    the runs changes nothing. Arguments as for `mean_pairwise_agreement`.
    """
    if len(runs) < 2:
        return None
    if named:
        return _share_of_equals(*runs)
    clusters = k if k is not None else _count_clusters(runs)
    return max(
        _share_of_equals(*(apply_mapping(run, align_clusters(reference, run, clusters)) for run in runs))
        for reference in runs
    )


def _share_of_equals(first: NDArray[np.integer], *others: NDArray[np.integer]) -> float:
    """Share of the rows in which all [n] arrays hold the same number. Raises DataError for none, or different lengths."""
    lengths = {len(first), *map(len, others)}
    if len(lengths) != 1 or not len(first):
        raise DataError(f"expected runs over the same pairs, one at least, found {sorted(lengths)} pairs")
    return float(np.all([np.asarray(other) == first for other in others], axis=0).mean())


def _count_clusters(runs: Sequence[NDArray[np.integer]]) -> int:
    return max(int(np.max(run)) for run in runs) + 1


def cluster_balance(clusters: NDArray[np.integer], k: int) -> float:
    """Smallest cluster's share times k: 1 = all even, 0 = a cluster is empty.

    clusters: [n] in 0..k-1. Raises DataError for no pairs or numbers outside 0..k-1.
    """
    clusters = np.asarray(clusters)
    if not len(clusters) or clusters.min() < 0 or clusters.max() >= k:
        raise DataError(
            f"expected at least one pair, all clusters from 0 to {k - 1}, found {np.unique(clusters)}: "
            "check that k is the model's number of clusters"
        )
    return float(np.bincount(clusters, minlength=k).min() * k / len(clusters))


def mean_confidence(probabilities: NDArray[np.floating]) -> float:
    """Mean of the largest probability of each pair; probabilities: [n, k] with rows that sum to 1.

    1/k = the model never knows, 1 = always sure. Raises DataError for anything but a non-empty [n, k] array.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or not probabilities.size:
        raise DataError(f"expected an [n, k] array of probabilities, found the shape {probabilities.shape}")
    return float(probabilities.max(axis=1).mean(dtype=np.float64))
