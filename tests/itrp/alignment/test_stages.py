"""Each stage against values worked out by hand, or by NumPy in one line."""

import numpy as np
import pytest
import torch

from itrp.alignment import prepare
from itrp.alignment.cca import Projection, solve_cca, sum_moments, turn_towards
from itrp.alignment.decide import Decision, decide
from itrp.alignment.gate import area, area_interval, compare_areas, pairs_needed
from itrp.alignment.prepare import fit_preparation
from itrp.alignment.score import Partners, score_pairs
from itrp.alignment.share import estimate_share, posterior
from tests.itrp.alignment.made_up import make_pairs

CPU = torch.device("cpu")


def test_preparation_is_the_formula() -> None:
    pairs = make_pairs(300, 1.0, seed=1)
    fitted = fit_preparation(
        pairs.texts.__getitem__, pairs.images.__getitem__, np.arange(300), directions=7, device=CPU
    )
    texts, roots = pairs.texts.astype(np.float64), np.sqrt(pairs.images.astype(np.float64))
    standard = (texts - texts.mean(0)) / texts.std(0)
    expected = standard / np.linalg.norm(standard, axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.texts(torch.from_numpy(pairs.texts)), expected, atol=1e-5)
    standard = (roots - roots.mean(0)) / roots.std(0)
    values, vectors = np.linalg.eigh(standard.T @ standard / 300)
    projected = standard @ (vectors[:, ::-1][:, :7] / values[::-1][:7] ** 0.25)
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    found = fitted.images(torch.from_numpy(pairs.images)).numpy()
    np.testing.assert_allclose(np.abs((found * projected).sum(1)) <= 1 + 1e-5, True)
    np.testing.assert_allclose(found @ found.T, projected @ projected.T, atol=1e-4)  # signs of directions are free


def test_a_feature_that_never_changes_stays_finite() -> None:
    texts, images = np.ones((50, 3), dtype=np.float32), np.zeros((50, 4), dtype=np.float32)
    texts[:, 0] = np.arange(50)
    images[:, 1] = np.arange(50)
    fitted = fit_preparation(texts.__getitem__, images.__getitem__, np.arange(50), directions=4, device=CPU)
    assert torch.isfinite(fitted.texts(torch.from_numpy(texts))).all()
    assert torch.isfinite(fitted.images(torch.from_numpy(images))).all()


def test_sums_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, rows = make_pairs(300, 1.0, seed=1), np.arange(300)
    features = pairs.texts.__getitem__, pairs.images.__getitem__
    whole = fit_preparation(*features, rows, directions=7, device=CPU)
    moments = sum_moments(*features, rows, np.ones(300), whole)
    monkeypatch.setattr(prepare, "BLOCK", 37)
    parts = fit_preparation(*features, rows, directions=7, device=CPU)
    torch.testing.assert_close(parts.image_directions, whole.image_directions, atol=1e-3, rtol=1e-3)
    again = sum_moments(*features, rows, np.ones(300), whole)
    torch.testing.assert_close(again.cross, moments.cross, atol=1e-3, rtol=1e-4)


def test_canonical_correlation_is_numpys() -> None:
    pairs, rows = make_pairs(400, 1.0, seed=2), np.arange(400)
    features = pairs.texts.__getitem__, pairs.images.__getitem__
    preparation = fit_preparation(*features, rows, directions=9, device=CPU)
    weights = np.random.default_rng(0).uniform(0.1, 1, 400)
    moments = sum_moments(*features, rows, weights, preparation)
    found = solve_cca(moments, components=5, shrinkage=0.5)
    t = preparation.texts(torch.from_numpy(pairs.texts)).double().numpy()
    i = preparation.images(torch.from_numpy(pairs.images)).double().numpy()
    w = weights / weights.sum()
    t, i = t - w @ t, i - w @ i
    covariances = [(x * w[:, None]).T @ y for x, y in ((t, t), (i, i), (i, t))]
    roots = []
    for covariance in covariances[:2]:
        values, vectors = np.linalg.eigh(
            covariance + 0.5 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        )
        roots.append(vectors @ np.diag(values**-0.5) @ vectors.T)
    left, strengths, right = np.linalg.svd(roots[1] @ covariances[2] @ roots[0], full_matrices=False)
    b, a = t @ roots[0] @ right[:5].T * strengths[:5], i @ roots[1] @ left[:, :5] * strengths[:5]
    expected = (b * a).sum(1) / np.linalg.norm(b, axis=1) / np.linalg.norm(a, axis=1)
    own_b = found.texts(preparation.texts(torch.from_numpy(pairs.texts)))
    own_a = found.images(preparation.images(torch.from_numpy(pairs.images)))
    np.testing.assert_allclose((own_b * own_a).sum(1), expected, atol=1e-4)


def test_turning_changes_no_cosine_and_undoes_a_mixture() -> None:
    rng = np.random.default_rng(0)
    text, image = (torch.from_numpy(rng.normal(size=(d, 4)).astype(np.float32)) for d in (6, 8))
    wanted = Projection(torch.zeros(6), torch.zeros(8), text, image)
    mixture = torch.linalg.qr(torch.from_numpy(rng.normal(size=(4, 4)).astype(np.float32)))[0]
    mixed = Projection(torch.zeros(6), torch.zeros(8), text @ mixture, image @ mixture)
    turned = turn_towards(mixed, wanted)
    torch.testing.assert_close(turned.text, text, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(turned.image, image, atol=1e-4, rtol=1e-4)


def test_the_score_is_the_formula_and_kin_does_not_count() -> None:
    """Three partners, the last of them with the pair's own text: mean and deviation are over the other two."""
    b, a = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    partners = Partners(
        texts=torch.tensor([[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]),
        images=torch.tensor([[0.2, 0.0], [0.4, 0.0], [9.0, 9.0]]),
        text_keys=torch.tensor([1, 2, 50]),
        image_keys=torch.tensor([1, 2, 3]),
    )
    # s = .6; with the partners' images .2 and .4: (.6 - .3) / .1 = 3; with their texts .6 and .8: (.6 - .7) / .1 = -1
    (z,) = score_pairs(b, a, torch.tensor([50]), torch.tensor([60]), partners)
    assert z.item() == pytest.approx(1.0, abs=1e-5)


def test_the_share_of_a_mixture() -> None:
    rng = np.random.default_rng(0)
    shuffled = rng.normal(size=20_000)
    true = np.concatenate([rng.normal(size=8_000), rng.normal(6, 1, 12_000)])
    assert estimate_share(true, shuffled) == pytest.approx(0.6, abs=0.02)
    assert estimate_share(shuffled, shuffled) <= 0.05


def test_the_posterior_follows_the_scores() -> None:
    rng = np.random.default_rng(0)
    shuffled, match = rng.normal(size=5_000), rng.normal(6, 1, 2_500)
    q = posterior(np.concatenate([rng.normal(size=2_500), match]), shuffled, 0.5)
    assert q[:2_500].mean() < 0.1
    assert q[2_500:].mean() > 0.95
    assert q.min() >= 0
    assert q.max() <= 1


def test_the_decision_leaves_the_share_above_it() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 1, 4_000), rng.normal(5, 1, 6_000)])
    decision = decide(scores, 0.6, seed=0)
    assert (decision.probabilities(scores) > 0.5).mean() == pytest.approx(0.6, abs=0.001)
    assert decision.slope == pytest.approx(5.0, rel=0.05)  # distance 5, variance 1
    assert decision.probabilities(np.array([decision.threshold])).item() == pytest.approx(0.5)
    assert Decision(20.0, 0.0).probabilities(np.array([-1e9, 1e9])).tolist() == pytest.approx([0, 1])


def test_area_by_hand() -> None:
    assert area(np.array([3.0, 1.0]), np.array([2.0, 0.0])) == 0.75
    assert area(np.array([1.0]), np.array([1.0])) == 0.5


def test_areas_are_compared_on_the_same_pairs() -> None:
    rng = np.random.default_rng(0)
    shuffled, true = rng.normal(size=400), rng.normal(1, 1, 400)
    better = compare_areas((true + 1, shuffled), (true, shuffled), seed=0, resamples=200)
    assert better.challenger > better.champion
    assert better.low > 0
    assert better.probability_better == 1.0
    same = compare_areas((true, shuffled), (true, shuffled), seed=0, resamples=50)
    assert (same.low, same.high, same.probability_better) == (0, 0, 0.5)
    low, high = area_interval(true, shuffled, seed=0, resamples=200)
    assert low < area(true, shuffled) < high


def test_how_many_pairs_would_help() -> None:
    """.60 at 100 pairs and .02 more with every doubling: .70 takes five doublings."""
    curve = [(100, 0.60), (200, 0.62), (400, 0.64), (800, 0.66)]
    assert pairs_needed(curve) == pytest.approx(3200, rel=0.01)
    assert pairs_needed([(100, 0.6), (200, 0.6)]) is None
    assert pairs_needed([(100, 0.6), (200, 0.61)]) is None  # a thousand times as many
    assert pairs_needed([(100, 0.6), (200, 0.55)]) is None
    assert pairs_needed([(100, 0.6)]) is None
