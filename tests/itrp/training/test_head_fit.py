"""Logistic regression on made-up features whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from itrp.errors import DataError
from itrp.training.head_fit import STRENGTHS, draw_splits, fit_head

Drawn = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def draw(n: int, width: int = 300, seed: int = 0, noise: float = 0.5) -> Drawn:
    """Features [n, width] of which the first alone tells the label; every pair is a group of its own."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (n, width)) / np.sqrt(width)
    features[:, 0] = rng.normal(0, 1, n)
    labels = (features[:, 0] + noise * rng.normal(0, 1, n) > 0).astype(np.int64)
    return features, labels, np.arange(n)


def test_it_finds_what_tells_the_label() -> None:
    features, labels, groups = draw(60)
    fitted = fit_head(features, labels, groups, folds=5, seed=0)
    assert np.abs(fitted.weights).argmax() == 0
    others, truth, _ = draw(1000, seed=1)
    found = fitted.calibration.probabilities(others @ fitted.weights + fitted.intercept)
    assert ((found >= 0.5) == truth).mean() > 0.8
    figures = dict(fitted.figures())
    assert figures["cv_f1"] > 0.75
    assert figures["cv_auc"] > 0.85
    assert 0 <= figures["cv_ece"] < 0.2
    assert (figures["labels_0"], figures["labels_1"]) == ((labels == 0).sum(), (labels == 1).sum())
    assert figures["C"] == fitted.strength in STRENGTHS


def test_the_span_gives_the_weights_of_all_features() -> None:
    """Fewer labels than features: scikit-learn on all of them finds the same head."""
    features, labels, groups = draw(40)
    fitted = fit_head(features, labels, groups, folds=5, seed=0)
    direct = LogisticRegression(C=fitted.strength, max_iter=5000, tol=1e-8).fit(features, labels)
    assert fitted.weights == pytest.approx(direct.coef_[0], abs=2e-3 * np.abs(direct.coef_).max())
    assert fitted.intercept == pytest.approx(direct.intercept_[0], abs=1e-3)


def test_the_same_seed_gives_the_same_head() -> None:
    features, labels, groups = draw(30)
    first, again, other = (fit_head(features, labels, groups, folds=5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.weights, again.weights)
    assert np.array_equal(first.held_out, again.held_out)
    assert first.calibration == again.calibration
    assert not np.array_equal(first.held_out, other.held_out)


def test_noise_gets_the_share_of_the_class_and_no_more() -> None:
    """Labels that no feature tells: held-out probabilities stay near one half, and so does the area."""
    rng = np.random.default_rng(2)
    features, labels = rng.normal(0, 1, (100, 50)) / np.sqrt(50), np.tile([0, 1], 50)
    fitted = fit_head(features, labels, np.arange(100), folds=5, seed=0)
    assert np.abs(fitted.held_out - 0.5).mean() < 0.12
    assert dict(fitted.figures())["cv_ece"] < 0.2


def test_few_labels_are_judged_again_and_again() -> None:
    for n, repeats in ((20, 5), (150, 5), (250, 4), (1500, 1)):
        _, labels, groups = draw(n, 2)
        splits = draw_splits(labels, groups, 5, 0)
        assert len(splits) == repeats
        assert all(sorted(np.concatenate([judged for _, judged in split])) == list(range(n)) for split in splits)


def test_pairs_that_share_a_text_or_an_image_share_a_fold() -> None:
    _, labels, _ = draw(40, 2)
    groups = np.arange(40) // 2
    for split in draw_splits(labels, groups, 5, 0):
        for learned, judged in split:
            assert not {*groups[learned]} & {*groups[judged]}
            assert {*labels[learned]} == {0, 1}


def test_a_rare_class_makes_fewer_folds() -> None:
    labels = np.array([1, 1, *[0] * 18])
    assert {len(split) for split in draw_splits(labels, np.arange(20), 5, 0)} == {2}


def test_a_class_that_hangs_together_cannot_be_held_out() -> None:
    labels = np.array([1, 1, *[0] * 18])
    with pytest.raises(DataError, match="found one class that hangs together by equal texts or images"):
        draw_splits(labels, np.array([0, 0, *range(1, 19)]), 5, 0)
