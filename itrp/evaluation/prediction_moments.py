"""Mean and variance of a model's predictions, shard by shard: what is to be known of a million of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from itrp.errors import DataError


@dataclass(frozen=True, slots=True)
class PredictionMoments:
    """Of `count` predictions from 0 to 1 (classes as 0 and 1, or probabilities)."""

    count: int
    mean: float
    variance: float
    """Mean squared distance from the mean: divided by `count`."""

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 <= self.mean <= 1 or not 0 <= self.variance <= self.mean * (1 - self.mean) + 1e-9:
            raise DataError(
                "expected count, mean and variance of predictions between 0 and 1, the variance at most mean * (1 - mean), "
                f"found {self.count}, {self.mean}, {self.variance}"
            )

    @classmethod
    def of(cls, predictions: ArrayLike) -> Self:
        """Of predictions [n]; none of them is nothing to be joined to others."""
        values = np.asarray(predictions, dtype=np.float64)
        return cls(len(values), float(values.mean()), float(values.var())) if len(values) else cls(0, 0.0, 0.0)

    def join(self, other: "PredictionMoments") -> "PredictionMoments":
        """Of both sets of predictions together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        if not count:
            return self
        share = other.count / count
        mean = self.mean + (other.mean - self.mean) * share
        variance = (
            self.variance * (1 - share) + other.variance * share + (other.mean - self.mean) ** 2 * share * (1 - share)
        )
        return PredictionMoments(count, _between(mean), max(variance, 0.0))

    def leave_out(self, predictions: ArrayLike) -> "PredictionMoments":
        """Without some of these predictions [m]: of the others in the collection, where the labelled ones are counted in.

        Raises DataError where there are not so many.
        """
        gone = PredictionMoments.of(predictions)
        count = self.count - gone.count
        if count < 0:
            raise DataError(f"expected at most {self.count} predictions to leave out, found {gone.count}")
        if not count:
            return PredictionMoments(0, 0.0, 0.0)
        mean = _between((self.count * self.mean - gone.count * gone.mean) / count)
        squares = self.count * (self.variance + self.mean**2) - gone.count * (gone.variance + gone.mean**2)
        return PredictionMoments(count, mean, min(max(squares / count - mean**2, 0.0), mean * (1 - mean)))


def moments_of_classes(counts: Sequence[int]) -> list[PredictionMoments]:
    """Of each class's indicator, from how many tweets the model gives to each class [c]."""
    total = sum(counts)
    shares = [count / total if total else 0.0 for count in counts]
    return [PredictionMoments(total, share, share * (1 - share)) for share in shares]


def _between(mean: float) -> float:
    """Rounding may lead out of 0 to 1."""
    return min(max(mean, 0.0), 1.0)
