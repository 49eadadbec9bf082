import dataclasses
import logging
import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from itrp.clustering.agreement import agreement
from itrp.clustering.kmeans import NearestCentres
from itrp.clustering.pseudo_labels import Method, ScikitClusters, assign_clusters, fit_clusters, fit_linear_clusters
from itrp.clustering.tied_mixture import SingularScatterError, TiedMixture, _scatter, fit_tied_mixture
from itrp.errors import DataError

METHODS: tuple[Method, ...] = ("kmeans", "gmm", "random")


def make_noise(n: int, d: int, seed: int) -> NDArray[np.float64]:
    """[n, d] values without any clusters, their scales far apart, one column constant."""
    generator = np.random.default_rng(seed)
    values = np.maximum(generator.normal(size=(n, d)) * generator.lognormal(size=d) + 0.3, 0)
    values[:, 0] = 0
    return values


def make_clusters(n: int, d: int, k: int, seed: int, distance: float = 3.0) -> NDArray[np.float64]:
    """[n, d] values around k overlapping centres, far from the origin."""
    generator = np.random.default_rng(seed)
    centres = 50 + distance * generator.normal(size=(k, d)) / np.sqrt(d)
    return generator.normal(size=(n, d)) + centres[generator.integers(k, size=n)]


def fit_reference(values: NDArray[np.float64], k: int, seed: int, n_init: int = 1) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(k, covariance_type="tied", random_state=seed, n_init=n_init).fit(values)


def find_gain(reference: GaussianMixture, values: NDArray[np.float64]) -> float:
    """Mean log-likelihood above that of one component."""
    return float(reference.lower_bound_ - fit_reference(values, 1, seed=0).lower_bound_)


def find_responsibilities(fitted: TiedMixture, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, k] posterior probabilities: what the components share cancels."""
    return np.asarray(softmax((values - fitted.mean) @ fitted.coefficients.T + fitted.intercepts, axis=1))


@pytest.mark.parametrize("kind", ["noise", "clusters"])
@pytest.mark.parametrize(
    ("n", "d", "k"),
    [(600, 200, 2), (600, 200, 4), (300, 200, 2), (300, 200, 4), (201, 200, 2), (500, 8, 4), (900, 20, 3)],
)
def test_the_mixture_is_scikit_learns(kind: str, n: int, d: int, k: int) -> None:
    values = make_noise(n, d, seed=n) if kind == "noise" else make_clusters(n, d, k, seed=n)
    reference = fit_reference(values, k, seed=1)
    ours = fit_tied_mixture(values, k, seed=1)
    np.testing.assert_array_equal(ours.predict(values), reference.predict(values))
    # scikit-learn takes the means off after squaring, which costs it digits where n is close to d.
    assert ours.gain == pytest.approx(find_gain(reference, values), abs=1e-7 * abs(reference.lower_bound_))
    assert (ours.iterations, ours.converged) == (reference.n_iter_, reference.converged_)
    np.testing.assert_allclose(ours.weights, reference.weights_, atol=1e-9)
    np.testing.assert_allclose(find_responsibilities(ours, values), reference.predict_proba(values), atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_responsibilities_are_scikit_learns_where_components_can_hardly_be_told_apart(seed: int) -> None:
    values = make_clusters(400, 60, 2, seed, distance=1.5)
    reference, ours = fit_reference(values, 2, seed), fit_tied_mixture(values, 2, seed)
    assert (ours.iterations, ours.converged) == (reference.n_iter_, reference.converged_)
    expected = reference.predict_proba(values)
    assert ((expected > 0.1) & (expected < 0.9)).any()
    np.testing.assert_allclose(find_responsibilities(ours, values), expected, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("k", [2, 4])
def test_a_gpu_fits_the_mixture_that_the_cpu_fits(k: int) -> None:
    values = make_clusters(900, 400, k, seed=9)
    ours, theirs = fit_tied_mixture(torch.from_numpy(values).cuda(), k, seed=1), fit_tied_mixture(values, k, seed=1)
    assert ours.iterations == theirs.iterations
    np.testing.assert_allclose(find_responsibilities(ours, values), find_responsibilities(theirs, values), atol=1e-6)


def test_the_scatter_is_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = make_clusters(400, 90, 2, seed=3)
    whole = fit_tied_mixture(values, 2, seed=0)
    monkeypatch.setattr("itrp.clustering.tied_mixture.SCATTER_COLUMNS", 32)  # 32, 32 and 26 columns
    parts = fit_tied_mixture(values, 2, seed=0)
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, rtol=1e-9)
    assert (parts.iterations, parts.gain) == (whole.iterations, pytest.approx(whole.gain, rel=1e-9))


def test_an_inverse_solves_what_the_factor_solves() -> None:
    """A GPU takes the one, a CPU the other."""
    data = _scatter(torch.from_numpy(make_clusters(400, 90, 2, seed=3)))
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 90)))
    assert data.inverse is None
    inverted = dataclasses.replace(data, inverse=torch.cholesky_inverse(data.factor))
    expected = np.linalg.solve((data.factor @ data.factor.T).numpy(), vectors.numpy().T).T
    np.testing.assert_allclose(data.solve(vectors), expected, rtol=1e-8)
    np.testing.assert_allclose(inverted.solve(vectors), expected, rtol=1e-8)


def test_the_shapes_above_let_em_really_move() -> None:
    reference = fit_reference(make_noise(600, 200, seed=600), 4, seed=1)
    assert reference.n_iter_ > 5


def test_the_mixture_predicts_other_rows_as_scikit_learn_does() -> None:
    values = make_clusters(900, 20, 3, seed=5)
    others = make_clusters(400, 20, 3, seed=5)[200:]
    ours, reference = fit_tied_mixture(values[:500], 3, seed=0), fit_reference(values[:500], 3, seed=0)
    np.testing.assert_array_equal(ours.predict(others), reference.predict(others))
    np.testing.assert_array_equal(ours.predict(values), reference.predict(values))


def test_the_best_of_several_starts_is_scikit_learns() -> None:
    values = make_noise(400, 10, seed=2)
    reference = fit_reference(values, 4, seed=1, n_init=5)
    ours = fit_tied_mixture(values, 4, seed=1, n_init=5)
    # Two starts end in one optimum with its components numbered otherwise; rounding decides which is a hair better.
    assert agreement(reference.predict(values), ours.predict(values), 4) == 1.0
    assert ours.gain == pytest.approx(find_gain(reference, values), rel=1e-9)
    assert ours.gain > fit_tied_mixture(values, 4, seed=1).gain + 0.01


def test_a_tied_mixture_sees_clusters_that_k_means_cannot() -> None:
    # Two slanted parallel strips: least squares cuts across their ends, a tied covariance runs between them.
    generator = np.random.default_rng(0)
    strip = np.arange(600) % 2
    values = generator.normal(size=(600, 2)) * (1.3, 0.2) + np.outer(strip, (1.0, 2.0))
    by_mixture = assign_clusters(values, "gmm", 2, seed=0)
    by_means = assign_clusters(values, "kmeans", 2, seed=0)
    assert max((by_mixture == strip).mean(), (by_mixture != strip).mean()) == 1.0
    assert max((by_means == strip).mean(), (by_means != strip).mean()) < 0.9


@pytest.mark.parametrize(("n", "d"), [(40, 60), (60, 60)])
def test_with_no_more_rows_than_features_scikit_learn_fits_the_mixture(n: int, d: int) -> None:
    values = make_clusters(n, d, 2, seed=1)
    with pytest.raises(SingularScatterError, match=f"{n} rows in {d} dimensions"):
        fit_tied_mixture(values, 2, seed=0)
    fitted = fit_clusters(values, "gmm", 2, seed=0)
    assert isinstance(fitted, ScikitClusters)
    np.testing.assert_array_equal(fitted.predict(values), fit_reference(values, 2, seed=0).predict(values))


def test_components_that_explain_everything_are_left_to_scikit_learn() -> None:
    values = np.repeat([[0.0, 0.0], [1e7, 0.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(SingularScatterError, match="explain the whole scatter"):
        fit_tied_mixture(values, 2, seed=0)
    clusters = assign_clusters(values, "gmm", 2, seed=0)
    assert np.bincount(clusters).tolist() == [20, 20]


def test_float32_features_are_fitted_in_float64() -> None:
    values = make_clusters(300, 200, 2, seed=4).astype(np.float32)
    reference = fit_reference(values.astype(np.float64), 2, seed=0)
    clusters = assign_clusters(values, "gmm", 2, seed=0)
    np.testing.assert_array_equal(clusters, reference.predict(values.astype(np.float64)))


def test_a_mixture_that_does_not_converge_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("itrp.clustering.tied_mixture.MAX_ITERATIONS", 3)
    with caplog.at_level(logging.WARNING):
        fitted = fit_clusters(make_noise(600, 200, seed=600), "gmm", 4, seed=1)
    assert isinstance(fitted, TiedMixture)
    assert (fitted.iterations, fitted.converged) == (3, False)
    assert "stopped after 3 iterations without converging" in caplog.text


@pytest.mark.parametrize("n_init", [1, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_k_means_is_scikit_learns(n_init: int, dtype: type[np.floating]) -> None:
    values = make_noise(300, 15, seed=0).astype(dtype)
    expected = KMeans(4, random_state=6, n_init=n_init).fit(values).predict(values)
    clusters = assign_clusters(values, "kmeans", 4, seed=6, n_init=n_init)
    np.testing.assert_array_equal(clusters, expected)
    assert clusters.dtype == np.int64


def test_k_means_fitted_in_one_precision_predicts_the_other() -> None:
    values = make_clusters(200, 5, 2, seed=0, distance=20)
    fitted = fit_clusters(values.astype(np.float32), "kmeans", 2, seed=0)
    np.testing.assert_array_equal(fitted.predict(values), fitted.predict(values.astype(np.float32)))


def test_random_clusters_are_even_and_look_at_nothing() -> None:
    clusters = assign_clusters(np.zeros((8000, 3)), "random", 4, seed=0)
    sizes = np.bincount(clusters, minlength=4)
    # 2,000 expected, standard deviation 39.
    assert (np.abs(sizes - 2000) < 200).all()
    np.testing.assert_array_equal(clusters, np.random.default_rng(0).integers(4, size=8000))


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_one_clustering_and_leaves_the_global_generator_alone(method: Method) -> None:
    values = make_noise(200, 12, seed=0)
    before = str(np.random.get_state())
    first = assign_clusters(values, method, 2, seed=3)
    np.testing.assert_array_equal(assign_clusters(values, method, 2, seed=3), first)
    assert str(np.random.get_state()) == before
    assert set(first.tolist()) == {0, 1}
    assert first.dtype == np.int64


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_fewer_different_rows_than_clusters_are_refused(method: Method) -> None:
    values = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 3.0]] * 20)
    with pytest.raises(DataError, match="at least 3 different rows for 3 clusters, found 2: use a larger subset"):
        assign_clusters(values, method, 3, seed=0)


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_rows_that_differ_by_rounding_alone_are_the_same(method: Method) -> None:
    """60 equal pairs whose vectors come from batches of 16 and a last one of 12."""
    values = np.tile(np.linspace(-3, 5, 40, dtype=np.float32), (600, 1))
    values[48:60] += np.float32(2e-6)
    with pytest.raises(DataError, match="at least 2 different rows for 2 clusters, found 1: use a larger subset"):
        assign_clusters(values, method, 2, seed=0)
    values[400] += np.float32(0.01)  # one that is another, far behind
    assert sorted(np.bincount(assign_clusters(values, method, 2, seed=0)).tolist()) == [1, 599]


def test_fewer_rows_than_clusters_are_refused_for_chance_too() -> None:
    with pytest.raises(DataError, match="at least 4 different rows for 4 clusters, found 3"):
        assign_clusters(np.zeros((3, 2)), "random", 4, seed=0)


def test_an_empty_cluster_is_refused_with_advice() -> None:
    draws = {seed: set(np.random.default_rng(seed).integers(2, size=3).tolist()) for seed in range(100)}
    seed = next(seed for seed, clusters in draws.items() if len(clusters) == 1)
    with pytest.raises(DataError, match=r"2 clusters with pairs in each, random found the sizes .*another seed"):
        assign_clusters(np.zeros((3, 1)), "random", 2, seed=seed)


def test_features_that_are_no_table_of_finite_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \[n, d\], found the shape \(6,\)"):
        assign_clusters(np.arange(6.0), "kmeans", 2, seed=0)
    values = make_noise(20, 3, seed=0)
    values[4, 1] = np.nan
    with pytest.raises(DataError, match="found NaN or infinity"):
        assign_clusters(values, "gmm", 2, seed=0)


def test_another_method_is_refused() -> None:
    with pytest.raises(DataError, match="kmeans, gmm or random, found 'dbscan'"):
        assign_clusters(np.zeros((4, 2)), "dbscan", 2, seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize(
    ("method", "n", "d", "fitted_by"),
    [("kmeans", 500, 40, NearestCentres), ("gmm", 500, 40, TiedMixture), ("gmm", 60, 80, ScikitClusters)],
    ids=["kmeans", "the fast mixture", "scikit-learn's mixture"],
)
def test_a_cluster_is_the_argmax_of_linear_scores(method: Method, n: int, d: int, fitted_by: type, k: int) -> None:
    """For the rows it was fitted on and for others, and in the float32 a linear layer has."""
    values = make_clusters(2 * n, d, k, seed=3).astype(np.float32)
    clusters = fit_linear_clusters(values[:n], method, k, seed=0)
    assert isinstance(clusters, fitted_by)
    coefficients, intercepts = clusters.linear_scores()
    assert (coefficients.shape, intercepts.shape) == ((k, d), (k,))
    expected = clusters.predict(values)
    assert len(set(expected[:n].tolist())) == k
    np.testing.assert_array_equal((values @ coefficients.T + intercepts).argmax(axis=1), expected)
    in_float32 = values @ coefficients.astype(np.float32).T + intercepts.astype(np.float32)
    assert (in_float32.argmax(axis=1) == expected).mean() >= 0.999


def test_features_that_do_not_vary_cost_the_scores_no_digits() -> None:
    """With as many rows as features scikit-learn fits, and the precision of a constant feature is a million."""
    values = make_clusters(800, 400, 4, seed=0).astype(np.float32)
    values[:, :40] = 3
    clusters = fit_linear_clusters(values[:400], "gmm", 4, seed=0)
    coefficients, intercepts = (scores.astype(np.float32) for scores in clusters.linear_scores())
    found = (values @ coefficients.T + intercepts).argmax(axis=1)
    assert (found == clusters.predict(values)).mean() >= 0.999


def test_linear_scores_of_k_means_by_hand() -> None:
    """Centres (0, 1) and (4, 1): 2 x . c - |c|^2, whichever constant is left out."""
    values = np.array([[-1.0, 1.0], [1.0, 1.0], [3.0, 1.0], [5.0, 1.0]])
    coefficients, intercepts = fit_linear_clusters(values, "kmeans", 2, seed=0).linear_scores()
    left, right = np.argsort(coefficients[:, 0])
    np.testing.assert_allclose(coefficients[right] - coefficients[left], [8, 0], atol=1e-12)
    assert intercepts[right] - intercepts[left] == pytest.approx(-16)  # equal scores at x = 2


@pytest.mark.parametrize(("n", "d"), [(300, 6), (40, 60)], ids=["fast", "scikit-learn's"])
def test_linear_scores_of_the_mixture_are_its_log_posterior(n: int, d: int) -> None:
    values = make_clusters(n, d, 2, seed=1)
    coefficients, intercepts = fit_linear_clusters(values, "gmm", 2, seed=0).linear_scores()
    scores = values @ coefficients.T + intercepts
    expected = fit_reference(values, 2, seed=0).predict_proba(values)
    with np.errstate(over="ignore"):
        posterior = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    np.testing.assert_allclose(posterior, expected[:, 1], atol=1e-6)


def test_random_clusters_have_no_linear_scores() -> None:
    with pytest.raises(DataError, match="expected kmeans or gmm, found random"):
        fit_linear_clusters(np.zeros((8, 3)), "random", 2, seed=0)
