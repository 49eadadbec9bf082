"""Chance, in the few forms the generator needs, on top of a numpy generator."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Dice:
    """The only source of chance of one pair: everything about pair `index` follows from (seed, index)."""

    def __init__(self, seed: int, index: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self._rng.random())

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return float(self._rng.random()) < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[int(self._rng.integers(len(items)))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, in random order."""
        return [items[place] for place in self._rng.permutation(len(items))[:count].tolist()]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One of the keys, with a probability in proportion to its weight."""
        point = float(self._rng.random()) * sum(weights.values())
        for key, weight in weights.items():
            point -= weight
            if point < 0:
                return key
        return next(reversed(list(weights)))
