"""How sure a weighted F1 is: percentile bootstrap intervals, for one system, the mean of several, the difference
of two, and any other statistic.

Drawing n rows with replacement and counting their cells (label, prediction) gives exactly a multinomial draw
of n over the observed cell frequencies, and the weighted F1 depends on the rows through these counts alone.
So the counts are drawn directly: the same distribution as resampling row numbers, without touching the rows,
which makes a thousand resamples cost c*c*1000 numbers instead of n*1000.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.errors import DataError


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Weighted F1 of the challenger minus that of the champion on the same pairs."""

    difference: float
    """On the pairs as they are, not the mean of the resamples."""
    low: float
    high: float
    """Ends of the percentile interval of the difference."""
    probability_better: float
    """Share of the resamples in which the challenger is ahead; a tie counts one half, so that two equal
    systems give 0.5."""


def f1_from_confusion(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Weighted F1 of confusion matrices [..., c, c] (row = label, column = prediction), as an array [...].

    The F1 of a class is 2 tp / (support + predicted), 0 where both are zero (scikit-learn's zero_division=0);
    its weight is its support. A matrix without any pair gives 0.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    support, predicted = counts.sum(-1), counts.sum(-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    weighted: NDArray[np.float64] = (f1 * support).sum(-1) / np.maximum(support.sum(-1), 1)
    return weighted


def bootstrap_interval(
    labels: NDArray[np.integer],
    predictions: NDArray[np.integer],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Ends (low, high) of the percentile bootstrap interval of the weighted F1.

    labels, predictions: [n] class indices. level: the interval's probability. Equal arguments, equal ends.
    Raises DataError for arrays that are empty, of different lengths, or hold an unlabelled row.
    """
    counts = _count_joint_cells(labels, predictions)
    scores = f1_from_confusion(_resample(counts, seed, resamples))
    low, high = _interval(scores, level)
    return low, high


def bootstrap_mean_interval(
    labels: NDArray[np.integer],
    runs: NDArray[np.integer],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Ends (low, high) of the percentile interval of the mean weighted F1 of several runs (seeds) on the same pairs.

    labels: [n] class indices. runs: [s, n] predictions. Every resample takes the same pairs for all runs; the spread over seeds
    is not in it. Raises DataError as `bootstrap_interval` does.
    """
    classes = max(int(np.max(labels)), int(np.max(runs))) + 1 if len(labels) and len(runs) else 0
    for run in runs:
        _count_joint_cells(labels, run)  # its checks
    if not classes:
        raise DataError("expected predictions of at least one run, found none: run the experiment first")
    weights = np.random.default_rng(seed).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), size=resamples
    )
    scores = np.zeros(resamples)
    for run in runs:
        cells = np.eye(classes * classes)[np.asarray(labels) * classes + np.asarray(run)]  # (n, c * c)
        scores += f1_from_confusion((weights @ cells).reshape(resamples, classes, classes))
    return _interval(scores / len(runs), level)


def smoothed_interval(
    confusion: NDArray[np.integer],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
    added: float = 2.0,
) -> tuple[float, float]:
    """Ends (low, high) of the bootstrap interval of the weighted F1 where labels are few, from a confusion matrix [c, c].

    `added` labels are spread evenly over the cells before resampling, so that an error that the few labels do not show can
    occur. With 20 labels of a model that is right in 98 % the percentile interval covers in a third of the cases, this one in
    99 %. From 400 labels on the two are the same.
    Raises DataError for a matrix that counts no label.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    if not counts.sum():
        raise DataError("expected at least one label with a prediction, found none")
    draws = _resample(counts + added / counts.size, seed, resamples, total=int(counts.sum()))
    return _interval(f1_from_confusion(draws), level)


def paired_bootstrap(
    labels: NDArray[np.integer],
    challenger: NDArray[np.integer],
    champion: NDArray[np.integer],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> PairedComparison:
    """Compare two systems on the same pairs.

    Both are counted on the same resampled pairs, so that what is hard for both cancels out.

    labels, challenger, champion: [n] class indices. The cells drawn are the triples (label, challenger's,
    champion's). Raises DataError as `bootstrap_interval` does.
    """
    counts = _count_joint_cells(labels, challenger, champion)
    differences = _difference(_resample(counts, seed, resamples))
    low, high = _interval(differences, level)
    ahead = (differences > 0).mean() + 0.5 * (differences == 0).mean()
    return PairedComparison(float(_difference(counts)), low, high, float(ahead))


def resampled_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Ends (low, high) of the percentile interval of `statistic` over row numbers [n] drawn from n with replacement.

    Resamples for which the statistic is NaN (not defined) are left out; no resample, or none defined: (NaN, NaN).
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(0, n, n)) for _ in range(resamples)], dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    return _interval(drawn, level)


def _difference(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of the challenger minus the champion's from counts [..., label, challenger, champion]."""
    return f1_from_confusion(counts.sum(-1)) - f1_from_confusion(counts.sum(-2))


def _count_joint_cells(*columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts [c, c, ...] of the joint values of [n] columns, c one more than the largest value of all."""
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or lengths == {0}:
        raise DataError(
            f"expected as many predictions as labels and at least one, found {[len(c) for c in columns]}: "
            "pass the same pairs to every argument"
        )
    table = np.stack([np.asarray(column, dtype=np.int64) for column in columns])  # (columns, n)
    if table.min() < 0:
        raise DataError(f"expected class indices from 0 on, found {table.min()}: leave out unlabelled pairs")
    shape = (int(table.max()) + 1,) * len(columns)
    cells = np.ravel_multi_index(tuple(table), shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)


def _resample(counts: NDArray[np.number], seed: int, resamples: int, total: int | None = None) -> NDArray[np.int64]:
    """Multinomial draws [resamples, *counts.shape] of `total` pairs, by default as many as `counts` holds."""
    total = int(counts.sum()) if total is None else total
    draws = np.random.default_rng(seed).multinomial(total, counts.ravel() / counts.sum(), size=resamples)
    return draws.reshape(resamples, *counts.shape)


def _interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentiles that leave (1 - level) / 2 of the values on either side."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)
