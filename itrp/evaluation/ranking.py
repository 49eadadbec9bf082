"""How well a probability orders pairs, whatever its threshold: the area under the ROC curve, and Spearman's correlation.

A weighted F1 depends on where the threshold lies and on how frequent the classes are; these two do not. Both are computed from
ranks. A resample's ranks follow from how often each value was drawn, so that values are sorted once, not a thousand times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.evaluation.bootstrap import resampled_interval
from itrp.evaluation.results import align_rows
from itrp.labels import UNLABELLED, Task

Measure = Literal["auc", "spearman"]

_NAMES: dict[Measure, str] = {"auc": "AUC", "spearman": "Spearman with ratings"}


@dataclass(frozen=True, slots=True)
class Ranking:
    """A figure of a model's class-1 probability, with its interval; NaN where it is not defined."""

    system: str
    task: Task
    measure: Measure
    value: float
    low: float
    high: float
    """Ends of the bootstrap 95 % interval."""
    n: int
    """Pairs with a label, or with a rating."""

    @property
    def is_defined(self) -> bool:
        """Whether there is a figure: not with a constant probability, a missing one, or pairs of one class alone."""
        return not np.isnan(self.value)


def measure_area(
    system: str,
    task: Task,
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None,
    *,
    seed: int = 0,
) -> Ranking:
    """Area under the ROC curve of class 1 against class 0; ties count one half.

    labels: [n] 0, 1 or UNLABELLED (left out). probabilities: [n] of class 1; None where the model gives none. seed: of the
    bootstrap. Raises DataError for arrays of different lengths.
    """
    labels = np.asarray(labels)
    known = labels != UNLABELLED
    classes, places, count = labels[known] == 1, *_place(probabilities, known)

    def area(rows: NDArray[np.int64]) -> float:
        positive = classes[rows]
        p = int(positive.sum())
        n = len(rows) - p
        if not p or not n:
            return float("nan")
        ranks = _rank(places[rows], count)
        return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))

    return _measure(system, task, "auc", area, len(classes), count > 1, seed)


def measure_correlation(
    system: str,
    task: Task,
    ratings: NDArray[np.floating],
    probabilities: NDArray[np.floating] | None,
    *,
    seed: int = 0,
) -> Ranking:
    """Spearman's correlation of the probability of class 1 with people's mean ratings, ties at their mean rank.

    ratings: [n], NaN where there is none (left out). probabilities, seed, DataError: as `measure_area`.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    known = ~np.isnan(ratings)
    values, rated = np.unique(ratings[known], return_inverse=True)
    places, count = _place(probabilities, known)

    def correlation(rows: NDArray[np.int64]) -> float:
        one, other = _rank(places[rows], count), _rank(rated[rows], len(values))
        one, other = one - one.mean(), other - other.mean()
        spread = float(np.sqrt((one @ one) * (other @ other)))
        return float(one @ other) / spread if spread else float("nan")

    return _measure(system, task, "spearman", correlation, int(known.sum()), count > 1, seed)


def format_rankings(rankings: Sequence[Ranking]) -> str:
    """A plain table, one line a figure, "-" where there is none; ends without a line break, and is empty without any."""
    if not rankings:
        return ""
    header = ("system", "task", "measure", "value", "95 % interval", "pairs")
    return "\n".join(align_rows([header, *map(_format_cells, rankings)], words=3))


def _format_cells(ranking: Ranking) -> tuple[str, ...]:
    return (
        ranking.system,
        str(ranking.task),
        _NAMES[ranking.measure],
        f"{ranking.value:.3f}" if ranking.is_defined else "-",
        f"{ranking.low:.3f} to {ranking.high:.3f}" if ranking.is_defined else "-",
        str(ranking.n),
    )


def _measure(
    system: str,
    task: Task,
    measure: Measure,
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    is_ordered: bool,
    seed: int,
) -> Ranking:
    """The statistic on all rows, and its interval; nothing where the probabilities order nothing."""
    value = statistic(np.arange(n)) if is_ordered else float("nan")
    if np.isnan(value):
        return Ranking(system, task, measure, value, value, value, n)
    low, high = resampled_interval(statistic, n, seed=seed)
    return Ranking(system, task, measure, value, low, high, n)


def _place(probabilities: NDArray[np.floating] | None, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Of the known rows' probabilities, the place of each among the different ones, and how many these are.

    One place where there is none of them, or one that is no number: they order nothing.
    """
    if probabilities is None:
        return np.zeros(int(known.sum()), dtype=np.int64), 1
    if len(probabilities) != len(known):
        raise DataError(f"expected one probability a pair, found {len(probabilities)} of {len(known)} pairs")
    values, places = np.unique(np.asarray(probabilities)[known], return_inverse=True)
    return places.astype(np.int64), len(values) if np.isfinite(values).all() else 1


def _rank(places: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """[m] ranks from 1 of the drawn rows' places below `count`, equal ones at their mean."""
    drawn = np.bincount(places, minlength=count)
    ranks: NDArray[np.float64] = (np.cumsum(drawn) - (drawn - 1) / 2)[places]
    return ranks
