"""Cross-fitting: pairs that share a text or an image share a fold, so that no model has seen anything of what it judges."""

import heapq
from collections.abc import Iterable
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from itrp.errors import DataError

FEWEST = 40
"""Pairs, and groups of pairs: with fewer nothing can be told from chance, and a fold would hold next to none."""

Keys = NDArray[np.int64]
"""[n] one number a content: equal texts, or equal images, have equal keys."""


def content_keys(contents: Iterable[str]) -> Keys:
    """[n] the first 8 bytes of each content's SHA-256 (of an image its own hash is hashed)."""
    digests = b"".join(sha256(content.encode()).digest()[:8] for content in contents)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)


def find_groups(text_keys: Keys, image_keys: Keys) -> NDArray[np.int64]:
    """[n] number of the group each pair is in: pairs with an equal text or image, and whatever hangs together by them."""
    _, texts = np.unique(text_keys, return_inverse=True)
    _, images = np.unique(image_keys, return_inverse=True)
    nodes = int(texts.max(initial=-1)) + 1
    size = nodes + int(images.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(texts), dtype=np.int8), (texts, images + nodes)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    groups: NDArray[np.int64] = component[texts].astype(np.int64)
    return groups


def find_enough_groups(text_keys: Keys, image_keys: Keys) -> NDArray[np.int64]:
    """`find_groups` of what a model is to be made of. Raises DataError for too few groups."""
    groups = find_groups(text_keys, image_keys)
    if len(np.unique(groups)) < FEWEST:
        raise DataError(
            f"expected at least {FEWEST} pairs with texts and images of their own to learn what belongs together from, found "
            f"{len(groups)} pairs in {len(np.unique(groups))} groups that share a text or an image: collect more tweets "
            "(500 are a beginning)"
        )
    return groups


def assign_folds(groups: NDArray[np.integer], folds: int, seed: int) -> NDArray[np.uint8]:
    """[n] a fold for each pair, whole groups together; the largest groups first, each to the fold that holds least so far."""
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    of_group = np.empty(len(sizes), dtype=np.uint8)
    filled = [(0, fold) for fold in range(folds)]
    for group in order:
        held, fold = heapq.heappop(filled)
        of_group[group] = fold
        heapq.heappush(filled, (held + int(sizes[group]), fold))
    found: NDArray[np.uint8] = of_group[groups]
    return found


def draw_partners(groups: NDArray[np.integer], folds: NDArray[np.integer], seed: int) -> NDArray[np.int64]:
    """[n] another pair of the same fold for each pair, of another group: the shuffled pairs of text i and image partner[i].

    A fold that is one single group has none: its pairs get -1. Every pair is the partner of one other, nearly.
    """
    rng = np.random.default_rng(seed)
    partners = np.full(len(groups), -1, dtype=np.int64)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if len(np.unique(groups[rows])) < 2:
            continue
        drawn = rng.permutation(rows)
        for _ in range(100):  # those that met their own group draw again, among all
            clash = np.flatnonzero(groups[drawn] == groups[rows])
            if not len(clash):
                break
            drawn[clash] = rng.choice(rows, len(clash))
        partners[rows] = np.where(groups[drawn] == groups[rows], -1, drawn)
    return partners
