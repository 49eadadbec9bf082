"""Stage 6: does a model see what belongs together? The area under the curve of true against shuffled held-out pairs.

It needs no label, and rose with the label AUC wherever both were measured (docs/alignment.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

GATE = 0.70
"""Below it a model is registered without class names."""
FURTHEST = 6
"""Doublings of the pairs that are there, beyond which a line through four points says nothing."""


def area(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Share of the (positive, negative) pairs of scores in which the positive is higher; ties count one half."""
    ranks = rankdata(np.concatenate([positive, negative]))
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


@dataclass(frozen=True, slots=True)
class AreaComparison:
    """A challenger's area minus a champion's on the same pairs."""

    challenger: float
    champion: float
    low: float
    high: float
    """Ends of the 95 % percentile interval of the difference."""
    probability_better: float
    """Share of the resamples in which the challenger is ahead; a tie counts one half."""


def compare_areas(
    challenger: tuple[NDArray[np.floating], NDArray[np.floating]],
    champion: tuple[NDArray[np.floating], NDArray[np.floating]],
    *,
    seed: int,
    resamples: int = 1000,
) -> AreaComparison:
    """Paired bootstrap over pairs. Each side: (scores of the true pairs [n], of the same texts with shuffled images [n])."""
    rng = np.random.default_rng(seed)
    n = len(challenger[0])
    differences = np.empty(resamples)
    for place in range(resamples):
        rows = rng.integers(0, n, n)
        differences[place] = area(challenger[0][rows], challenger[1][rows]) - area(champion[0][rows], champion[1][rows])
    low, high = np.quantile(differences, (0.025, 0.975))
    better = (differences > 0).mean() + 0.5 * (differences == 0).mean()
    return AreaComparison(area(*challenger), area(*champion), float(low), float(high), float(better))


def area_interval(
    true: NDArray[np.floating], shuffled: NDArray[np.floating], *, seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """Ends of the 95 % percentile bootstrap interval of `area`, over pairs."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(true), len(true)) for _ in range(resamples))
    low, high = np.quantile([area(true[rows], shuffled[rows]) for rows in draws], (0.025, 0.975))
    return float(low), float(high)


def pairs_needed(curve: Sequence[tuple[int, float]], wanted: float = GATE) -> int | None:
    """How many pairs a model would need for an area of `wanted`, by a straight line of the area over the logarithm of the number
    of pairs; None where the curve does not rise, or much too slowly. curve: (pairs, area), two at least for an answer."""
    if len(curve) < 2:
        return None
    sizes, areas = np.log2([size for size, _ in curve]), np.array([value for _, value in curve])
    slope, start = np.polyfit(sizes, areas, 1)
    if slope < 0.005:  # half a point with every doubling
        return None
    needed = (wanted - start) / slope
    return int(np.ceil(2.0**needed)) if needed - sizes[-1] < FURTHEST else None
