"""Do probabilities mean what they say? Of the pairs with 0.8 about four in five should be of the class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.evaluation.shares import LEVEL, wilson_interval

BINS = 10
DRAWS = 200
"""Of made-up labels, for the error that chance alone makes."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs of like probability."""

    predicted: float
    """Their mean probability of class 1."""
    observed: float
    """The share of them that is of class 1."""
    low: float
    high: float
    """Ends of Wilson's interval of `observed`."""
    share: float
    """Of all pairs."""
    n: int


def bin_reliability(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = BINS, *, level: float = LEVEL
) -> list[ReliabilityBin]:
    """The calibration curve: bins of equal width that hold any pair, in order.

    labels: [n] 0 or 1. probabilities: [n] of class 1. Where `predicted` lies outside of `low` to `high`, the probabilities of
    the bin are wrong; in one bin of twenty they seem so by chance.
    """
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    held = np.flatnonzero(counts)
    n = counts[held]
    predicted, observed = (np.bincount(place, of, bins)[held] / n for of in (probabilities, labels))
    low, high = wilson_interval(observed, n, level)
    columns = np.stack([predicted, observed, low, high, n / max(len(labels), 1)], axis=1).tolist()
    return [
        ReliabilityBin(mean, found, least, most, share, int(count))
        for (mean, found, least, most, share), count in zip(columns, n, strict=True)
    ]


def expected_calibration_error(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = BINS
) -> float:
    """Mean distance of predicted from observed over the bins, weighted by their pairs; 0 to 1 (Naeini et al. 2015)."""
    return sum(
        each.share * abs(each.predicted - each.observed) for each in bin_reliability(labels, probabilities, bins)
    )


def chance_calibration_error(probabilities: NDArray[np.floating], seed: int = 0, bins: int = BINS) -> float:
    """The error that probabilities [n] have on average where they mean exactly what they say: that of labels drawn by them.

    With a few labels it is most of what `expected_calibration_error` finds.
    """
    rng = np.random.default_rng(seed)
    draws = (rng.random(len(probabilities)) < probabilities for _ in range(DRAWS))
    return float(
        np.mean([expected_calibration_error(labels.astype(np.int64), probabilities, bins) for labels in draws])
    )
