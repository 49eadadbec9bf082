"""Labels that are probably wrong, by confident learning, beside the published corrections.

Northcutt, Jiang and Chuang 2021 (package cleanlab): a label is suspect when a model that has not seen it gives it less
probability than is usual for its class. A model trained without labels has seen none, so its probabilities are
out-of-sample by construction, also on pairs it was trained on; only the mapping of clusters to classes has seen labels,
those of the train split.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from itrp.data.annotations import Annotations
from itrp.errors import DataError
from itrp.labels import CLASS_NAMES, UNLABELLED, Task


@dataclass(frozen=True, eq=False)
class ErrorCandidates:
    """Labels of m pairs ranked by how suspect they are, and how well the ranking finds the known errors."""

    task: Task
    table: pd.DataFrame
    """[m] rows, the most suspect first: rank (from 1), row (of the annotations), id, label, suggested, quality (0 to 1,
    low = suspect), flagged (confident learning calls it an error), known_error (the published list changes it), corrected."""
    base_rate: float
    """Share of known errors: the precision of chance."""
    average_precision: float
    """NaN, as the following, where no error is known."""
    precision: float
    recall: float
    """Of the flagged labels; precision is NaN when none is flagged."""
    precision_at_known: float
    """Of as many labels from the top as there are known errors."""

    @property
    def lift(self) -> float:
        """Average precision over chance's: 1 = no better."""
        return self.average_precision / self.base_rate if self.base_rate else float("nan")

    @property
    def counts(self) -> tuple[int, int, int]:
        """(pairs, flagged, known errors)."""
        return len(self.table), int(self.table["flagged"].sum()), int(self.table["known_error"].sum())


def rank_label_errors(
    task: Task, probabilities: NDArray[np.floating], annotations: Annotations, *, split: str = "test"
) -> ErrorCandidates:
    """Rank the labels of a split, the most suspect first; ties in the order of the annotations.

    probabilities: [n, c] by class, of a model that has not learned from these labels, in the order of the annotations.
    A pair of the published list (Annotations.controversial) is a known error of a task when the list changes its label
    for this task. Quality is cleanlab's self-confidence, adjusted for how confident the model is in each class.
    Raises DataError for another shape, and when the split lacks labelled pairs of two classes.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (len(annotations), len(CLASS_NAMES[task])):
        raise DataError(
            f"expected class probabilities of the shape [{len(annotations)}, {len(CLASS_NAMES[task])}] for the {task} "
            f"task, found {list(probabilities.shape)}: predict the same data set"
        )
    labels = annotations.labels(task)
    rows = np.flatnonzero((annotations.split == split) & (labels != UNLABELLED))
    if len(np.unique(labels[rows])) < 2:
        raise DataError(
            f"the {split} split has {len(rows)} labelled pairs of {len(np.unique(labels[rows]))} classes for the {task} "
            "task, finding wrong labels needs two classes: ingest a labelled data set with such a split"
        )
    quality, flagged = _judge_labels(labels[rows], probabilities[rows])
    return _compare(task, rows, probabilities[rows].argmax(axis=1), quality, flagged, annotations)


def relation_probabilities(text: NDArray[np.floating], image: NDArray[np.floating]) -> NDArray[np.float64]:
    """[n, 4] probabilities of the relations 2*T + I from [n, 2] of either task, taken as independent."""
    products: NDArray[np.float64] = np.einsum("nt,ni->nti", text, image, dtype=np.float64)
    return products.reshape(len(text), 4)


def tabulate_errors(candidates: Mapping[Task, ErrorCandidates]) -> pd.DataFrame:
    """One row a task: how well the ranking finds the known errors."""
    names = ("base_rate", "average_precision", "lift", "precision", "recall", "precision_at_known")
    return pd.DataFrame(
        [
            {
                "task": str(task),
                **dict(zip(("pairs", "flagged", "known"), found.counts, strict=True)),
                **{name: getattr(found, name) for name in names},
            }
            for task, found in candidates.items()
        ]
    )


def _judge_labels(
    labels: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Quality [m] and flags [m] of labels. Classes without any label have no threshold: they are taken out."""
    present = np.unique(labels)
    probabilities = probabilities[:, present]
    probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    labels = np.searchsorted(present, labels)
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence", adjust_pred_probs=True)
    flagged = find_label_issues(labels, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(quality, dtype=np.float64), np.asarray(flagged, dtype=bool)


def _compare(
    task: Task,
    rows: NDArray[np.intp],
    suggested: NDArray[np.int64],
    quality: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    annotations: Annotations,
) -> ErrorCandidates:
    labels, corrected = (annotations.labels(task, corrected=is_corrected)[rows] for is_corrected in (False, True))
    known = annotations.controversial[rows] & (labels != corrected)
    order = np.argsort(quality, kind="stable")
    names = np.array(CLASS_NAMES[task])
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(rows) + 1),
            "row": rows[order],
            "id": annotations.ids[rows][order],
            "label": names[labels[order]],
            "suggested": names[suggested[order]],
            "quality": quality[order],
            "flagged": flagged[order],
            "known_error": known[order],
            "corrected": names[corrected[order]],
        }
    )
    return ErrorCandidates(task, table, float(known.mean()), *_score_ranking(quality, flagged, known))


def _score_ranking(
    quality: NDArray[np.float64], flagged: NDArray[np.bool_], known: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Average precision, precision and recall of the flags, precision at the number of known errors."""
    if not known.any():
        return (float("nan"),) * 4
    hits = int((flagged & known).sum())
    top = np.argsort(quality, kind="stable")[: known.sum()]
    return (
        float(average_precision_score(known, -quality)),
        hits / flagged.sum() if flagged.any() else float("nan"),
        hits / known.sum(),
        float(known[top].mean()),
    )
