"""How sure a statistic of rows is: the percentile bootstrap, for statistics that have no shorter way."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def resampled_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    seed: int,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Ends (low, high) of the percentile interval of `statistic` over row numbers [n] drawn from n with replacement.

    Resamples for which the statistic is NaN (not defined) are left out; no resample, or none defined: (NaN, NaN).
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(0, n, n)) for _ in range(resamples)], dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return float(low), float(high)
