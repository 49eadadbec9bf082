"""A share and how sure it is: Wilson's score interval, of a sample with replacement or of a part of a finite collection.

Sources: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); Brown, Cai and DasGupta,
"Interval estimation for a binomial proportion", Statistical Science 16 (2001): it covers well from small samples on, stays
within 0 and 1, and has a width where no or every label is positive, all of which share +- 1.96 standard errors does not.
Finite collections: the variance of n drawn from M without replacement is (1 - n/M) of that with replacement (Cochran,
"Sampling techniques", 1977, chapter 3), so the n labels count for n / (1 - n/M).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from itrp.errors import DataError, WrongUseError

LEVEL = 0.95
"""Probability with which an interval covers, unless told otherwise."""

ROUNDING = 1e-6
"""Of a tweet: what sums may be off by."""


@dataclass(frozen=True, slots=True)
class Share:
    """A figure between 0 and 1 with its interval."""

    value: float
    low: float
    high: float
    n: int
    """Labels that it is counted on."""

    @property
    def width(self) -> float:
        """Of the interval, 0 to 1."""
        return self.high - self.low


def measure_share(positives: int, n: int, *, level: float = LEVEL, population: int | None = None) -> Share:
    """Share of positives among n labels drawn at random, with Wilson's interval.

    population: size of the collection that the n are drawn from without replacement, for an interval of the collection's own
    share; the positives and negatives seen bound it, and with every one of them labelled nothing is unsure. None: of the
    source that the labels come from, of which any collection is a sample.
    Raises DataError for no label, more positives than labels, or more labels than the population has.
    """
    if n < 1 or not 0 <= positives <= n:
        raise DataError(f"expected 0 to n positives among n labels, at least one, found {positives} among {n}")
    share = positives / n
    if population is None:
        low, high = wilson_interval(share, n, level)
        return Share(share, float(low), float(high), n)
    if population < n:
        raise DataError(f"expected at most as many labels as the collection has, found {n} labels of {population}")
    low, high = wilson_interval(share, correct_for_population(n, population), level)
    return Share(share, *bound_by_labels(float(low), float(high), positives, n, population), n)


def wilson_interval(
    shares: ArrayLike, labels: ArrayLike, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends (low, high) of Wilson's intervals of shares [...], each of so many labels [...].

    labels may be a fraction or infinite; none (0) gives (0, 1). Raises WrongUseError for a level outside of 0 and 1.
    """
    share, number = np.asarray(shares, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    doubt = normal_quantile(level) ** 2 / np.where(number > 0, number, 1)
    centre = (share + doubt / 2) / (1 + doubt)
    half = np.sqrt(doubt * share * (1 - share) + doubt**2 / 4) / (1 + doubt)
    low, high = np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)
    return np.where(number > 0, low, 0.0), np.where(number > 0, high, 1.0)


def correct_for_population(labels: float, population: int) -> float:
    """How many labels drawn with replacement tell as much as these, drawn from a population without; infinite for all of it."""
    return labels / (1 - labels / population) if labels < population else float("inf")


def bound_by_labels(low: float, high: float, positives: int, n: int, population: int) -> tuple[float, float]:
    """The interval's ends among the shares that a population can have of which n are labelled, so many of them positive.

    It has whole tweets only: the ends are moved outwards to the next, without which the interval of a small collection that is
    nearly all labelled covers too seldom.
    """
    least, most = np.floor(low * population + ROUNDING), np.ceil(high * population - ROUNDING)
    return max(float(least), positives) / population, min(float(most), population - n + positives) / population


def normal_quantile(level: float) -> float:
    """Standard deviations to either side that hold so much of a normal distribution; 1.96 for 0.95."""
    if not 0 < level < 1:
        raise WrongUseError(f"expected the level of an interval between 0 and 1, 0.95 for 95 %, found {level}")
    return NormalDist().inv_cdf((1 + level) / 2)
