"""Vectors that can be compared as they are: score, share, threshold and gate, on drawn pairs of which it is known which match."""

import numpy as np
import pytest
import torch

from itrp.alignment.compare import ComparedVectors, compare_vectors
from itrp.alignment.config import MatchingConfig
from itrp.alignment.fit import PairFeatures
from itrp.alignment.gate import area
from itrp.errors import DataError
from itrp.models.aligner import build_plain_aligner

CPU = torch.device("cpu")
WIDTH = 16


def draw_vectors(n: int, matching: float, noise: float, seed: int = 0) -> tuple[PairFeatures, np.ndarray]:
    """Pairs whose image's vector is the text's and noise, or another's; and which of them match."""
    rng = np.random.default_rng(seed)
    meant = rng.normal(size=(n, WIDTH))
    matches = rng.random(n) < matching
    shown = np.where(matches[:, None], meant, rng.normal(size=(n, WIDTH)))
    texts = (meant + noise * rng.normal(size=(n, WIDTH))).astype(np.float32)
    images = (shown + noise * rng.normal(size=(n, WIDTH))).astype(np.float32)
    return PairFeatures(texts.__getitem__, images.__getitem__, np.arange(n), np.arange(n)), matches


def compare(pairs: PairFeatures, partners: int = 256, seed: int = 0) -> ComparedVectors:
    return compare_vectors(pairs, MatchingConfig(partners=partners), seed=seed, device=CPU)


def test_pairs_that_match_are_told_from_those_that_do_not_without_a_label() -> None:
    pairs, matches = draw_vectors(1500, matching=0.6, noise=0.4)
    found = compare(pairs)
    assert area(found.true[matches], found.true[~matches]) > 0.98
    assert found.share == pytest.approx(0.6, abs=0.06)
    # of the pairs that match the area is nearly 1, of the others 1/2
    assert found.area == pytest.approx(0.6 + 0.4 / 2, abs=0.03)
    called = found.decision.probabilities(found.true) > 0.5
    assert (called == matches).mean() > 0.93
    assert (len(found.true), len(found.shuffled), found.curve) == (1500, 1500, ())


def test_vectors_without_a_meaning_are_found_out() -> None:
    pairs, _ = draw_vectors(1500, matching=0.0, noise=0.4)
    assert compare(pairs).area == pytest.approx(0.5, abs=0.03)


def test_scores_are_those_of_the_definition() -> None:
    """z by hand for one pair: against all others, which are its partners."""
    pairs, _ = draw_vectors(50, matching=1.0, noise=0.5)
    found = compare(pairs, partners=50)
    rows = np.arange(50)
    b, a = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (pairs.texts(rows), pairs.images(rows))
    )
    cosines = b @ a.T
    own, others = 7, np.delete(rows, 7)
    by_text = (cosines[own, own] - cosines[own, others].mean()) / cosines[own, others].std()
    by_image = (cosines[own, own] - cosines[others, own].mean()) / cosines[others, own].std()
    assert found.true[own] == pytest.approx((by_text + by_image) / 2, abs=1e-4)


def test_lengths_of_vectors_do_not_count() -> None:
    pairs, _ = draw_vectors(300, matching=0.7, noise=0.4)
    longer = PairFeatures(lambda m: 7 * pairs.texts(m), pairs.images, pairs.text_keys, pairs.image_keys)
    np.testing.assert_allclose(compare(longer).true, compare(pairs).true, atol=1e-4)


def test_what_is_repeated_is_no_chance_partner() -> None:
    """A meme under many texts stands against other images alone, and its pairs are never shuffled among each other."""
    pairs, _ = draw_vectors(200, matching=1.0, noise=0.3)
    keys = np.where(np.arange(200) < 60, -1, np.arange(200))
    first = pairs.images(np.zeros(1, dtype=np.int64))

    def images(rows: np.ndarray) -> np.ndarray:
        return np.where((rows < 60)[:, None], first, pairs.images(rows))

    found = compare(PairFeatures(pairs.texts, images, pairs.text_keys, keys), partners=200)
    assert np.isfinite(found.true).all()
    assert np.abs(found.shuffled).max() < 8  # an equal image would have no spread at all


def test_too_few_pairs_are_said() -> None:
    pairs, _ = draw_vectors(39, matching=1.0, noise=0.1)
    with pytest.raises(
        DataError, match=r"expected at least 40 pairs with texts and images of their own .* found 39 pairs"
    ):
        compare(pairs)


def test_the_aligner_takes_vectors_as_they_are() -> None:
    """It has learned nothing of any pair: those it was made from and new ones are judged alike."""
    pairs, _ = draw_vectors(600, matching=0.6, noise=0.4)
    found = compare(pairs, partners=600)
    aligner = build_plain_aligner(found)
    rows = np.arange(600)
    texts, images = pairs.texts(rows), pairs.images(rows)
    assert (aligner.folds, aligner.learned) == (1, False)
    scores, products = aligner.fit_pairs(texts, images, pairs.text_keys, pairs.image_keys)
    np.testing.assert_allclose(scores, found.true, atol=1e-4)
    cosines = (texts * images).sum(axis=1) / np.linalg.norm(texts, axis=1) / np.linalg.norm(images, axis=1)
    np.testing.assert_allclose(products.sum(axis=1), cosines, atol=1e-5)
    new, theirs = draw_vectors(200, matching=0.6, noise=0.4, seed=1)
    rows = np.arange(200)
    judged = aligner.probabilities(new.texts(rows), new.images(rows), new.text_keys + 1000, new.image_keys + 1000)
    assert judged.shape == (200, 2)
    assert ((judged[:, 1] > 0.5) == theirs).mean() > 0.9
    swapped = np.roll(rows, 1)
    beside = aligner.scores(new.texts(rows), new.images(rows), new.text_keys, new.image_keys, swapped)
    assert area(aligner.scores(new.texts(rows), new.images(rows), new.text_keys, new.image_keys)[theirs], beside) > 0.95


def test_a_single_pair_is_compared_with_stored_partners() -> None:
    pairs, matches = draw_vectors(600, matching=0.6, noise=0.4)
    aligner = build_plain_aligner(compare(pairs))
    row = np.flatnonzero(matches)[:1]
    (alone,) = aligner.scores(pairs.texts(row), pairs.images(row), np.array([-5]), np.array([-6]))
    assert alone > 1
