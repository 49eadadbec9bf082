"""Pairs with a known truth: texts and images that share hidden topics where they match, and none where they do not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.alignment.fit import PairFeatures


@dataclass(frozen=True)
class MadeUpPairs:
    """n pairs of two kinds of features, and which of them match."""

    texts: NDArray[np.float32]
    images: NDArray[np.float32]
    match: NDArray[np.bool_]
    text_keys: NDArray[np.int64]
    image_keys: NDArray[np.int64]

    @property
    def features(self) -> PairFeatures:
        """As `fit_alignment` takes them."""
        return PairFeatures(self.texts.__getitem__, self.images.__getitem__, self.text_keys, self.image_keys)


def make_pairs(
    n: int, share: float, seed: int, *, topics: int = 6, noise: float = 0.7, lean: float = 0.0
) -> MadeUpPairs:
    """The first share of the pairs matches; texts [n, 24] and images [n, 40], the latter never negative as a ReLU's are.

    lean: how far all texts and images lean towards the first topic, matching or not.
    """
    rng, world = np.random.default_rng(seed), np.random.default_rng(1000)  # the same world for every draw of pairs
    into_texts, into_images = world.normal(size=(topics, 24)), world.normal(size=(topics, 40))
    match = np.arange(n) < round(share * n)
    of_text = rng.normal(size=(n, topics))
    of_image = np.where(match[:, None], of_text, rng.normal(size=(n, topics)))
    of_text[:, 0] += lean
    of_image[:, 0] += lean
    texts = of_text @ into_texts + noise * rng.normal(size=(n, 24))
    images = np.maximum(of_image @ into_images + noise * rng.normal(size=(n, 40)) + 1, 0)
    order = rng.permutation(n)
    keys = np.arange(n, dtype=np.int64) + 10**6 * seed
    return MadeUpPairs(
        texts[order].astype(np.float32), images[order].astype(np.float32), match[order], keys, keys + 5 * 10**5
    )
