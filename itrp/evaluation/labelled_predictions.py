"""Clusters of a whole labelled set beside its labels: what a protocol may choose by, and what a figure is of."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from itrp.data.annotations import Annotations, select_set
from itrp.evaluation.protocols import RoundPredictions
from itrp.evaluation.results import TaskPredictions
from itrp.labels import Task


def predictions_on(
    annotations: Annotations,
    task: Task,
    set_name: str,
    rounds: Mapping[int, NDArray[np.int64]],
    dev_rows: NDArray[np.intp],
    *,
    named: bool = False,
    rows_of: Task | None = None,
) -> TaskPredictions:
    """Clusters [n] of all pairs by round as predictions on a test set, with everything a protocol may want to see.

    `rows_of`: the task whose test rows are taken, the same one by default.
    """
    test_rows, test_labels = find_test_side(annotations, task, set_name, rows_of)
    whole = np.flatnonzero(annotations.split == "test")
    return TaskPredictions(
        rounds=[
            RoundPredictions(number, clusters[dev_rows], clusters[test_rows], clusters[whole])
            for number, clusters in rounds.items()
        ],
        dev_labels=annotations.labels(task)[dev_rows],
        test_labels=test_labels,
        named=named,
        whole_labels=(annotations.labels(task)[whole], annotations.labels(task, corrected=True)[whole]),
    )


def find_test_side(
    annotations: Annotations, task: Task, set_name: str, rows_of: Task | None
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """(rows, labels) of a test set."""
    rows, _ = select_set(annotations, rows_of or task, set_name)
    return rows, annotations.labels(task, corrected=set_name == "RL")[rows]
