"""Which class a cluster stands for: clusters carry no names, so a mapping is chosen on labelled pairs."""

from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.labels import UNLABELLED

Floating = TypeVar("Floating", bound=np.floating)
Mapping = tuple[int, ...]
"""A mapping cluster -> class: the index is the cluster, the value the class."""


def count_cells(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How often each (row, column) occurs: two [n] arrays of numbers below `shape` to counts of that shape.

    Raises DataError when the arrays differ in length or a number lies outside `shape`.
    """
    if len(rows) != len(columns):
        raise DataError(f"expected two arrays of one length, found {len(rows)} and {len(columns)} numbers")
    for name, numbers, limit in (("row", rows, shape[0]), ("column", columns, shape[1])):
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < limit):
            raise DataError(
                f"expected {name} numbers from 0 to {limit - 1}, found {numbers.min()} to {numbers.max()}: "
                "check that the task and the number of clusters belong together"
            )
    cells = np.asarray(rows, dtype=np.int64) * shape[1] + np.asarray(columns, dtype=np.int64)
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def best_mapping(clusters: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> Mapping:
    """The permutation of the classes with the best accuracy over the labelled rows.

    clusters: [n] in 0..classes-1. labels: [n] in 0..classes-1 or UNLABELLED (left out). Of several equally
    good permutations the lexicographically first is taken, so the answer never depends on the order of rows.
    The accuracy of every permutation is read off one confusion matrix: the n rows are walked once.
    Raises DataError when no row is labelled, and for numbers outside 0..classes-1.
    """
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    if len(clusters) != len(labels):
        raise DataError(f"expected one label a row, found {len(clusters)} clusters and {len(labels)} labels")
    labelled = labels != UNLABELLED
    if not labelled.any():
        raise DataError(
            "expected labelled pairs to choose the mapping from clusters to classes, found none: "
            "ingest a labelled data set"
        )
    counts = count_cells(clusters[labelled], labels[labelled], (classes, classes))
    every = np.arange(classes)
    # max() keeps the first of equals and permutations() runs in lexicographic order.
    return max(permutations(range(classes)), key=lambda mapping: int(counts[every, mapping].sum()))


def apply_mapping(clusters: NDArray[np.integer], mapping: Mapping) -> NDArray[np.int64]:
    """Classes [n] int64 of the clusters [n]. Raises DataError for a cluster the mapping lacks."""
    clusters = np.asarray(clusters)
    if len(clusters) and not (clusters.min() >= 0 and clusters.max() < len(mapping)):
        raise DataError(
            f"expected clusters from 0 to {len(mapping) - 1}, the length of the mapping, "
            f"found {clusters.min()} to {clusters.max()}: the mapping belongs to another model"
        )
    classes: NDArray[np.int64] = np.asarray(mapping, dtype=np.int64)[clusters]
    return classes


def mapped_probabilities(
    probabilities: NDArray[Floating], mapping: Mapping, classes: int | None = None
) -> NDArray[Floating]:
    """Probabilities by class, [n, classes], from probabilities by cluster, [n, k].

    classes: at least so many columns, where the mapping may have no cluster for the last class.

    Where several clusters stand for one class, the best of them speaks for it, and the classes' best are made to sum to 1: so
    the most probable class is always that of the most probable cluster, which is what evaluation counts. (Their sums can be
    the other way round: 0.4 against 0.3 + 0.3.) Raises DataError unless the mapping names one class for each column.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(mapping):
        raise DataError(
            f"expected an [n, {len(mapping)}] array of probabilities, one column a cluster of the mapping, "
            f"found the shape {probabilities.shape}: the mapping belongs to another model"
        )
    by_class = np.zeros((len(probabilities), max(max(mapping) + 1, classes or 0)), dtype=probabilities.dtype)
    for cluster, class_index in enumerate(mapping):
        by_class[:, class_index] = np.maximum(by_class[:, class_index], probabilities[:, cluster])
    if len(set(mapping)) < len(mapping):
        by_class /= by_class.sum(axis=1, keepdims=True)
    return by_class
