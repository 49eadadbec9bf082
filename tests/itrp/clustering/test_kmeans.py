"""k-means in torch against scikit-learn's, from the same start; on a GPU too where there is one."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from itrp.clustering.agreement import agreement
from itrp.clustering.kmeans import NearestCentres, _centre, _draw_starts, fit_kmeans, fit_kmeans_starts

Draw = Callable[[np.random.Generator, int, int, int], NDArray[np.float64]]
"""(generator, n, d, k) -> [n, d]"""


def draw_noise(generator: np.random.Generator, n: int, d: int, k: int) -> NDArray[np.float64]:
    """No clusters at all, scales far apart, many zeros, one column constant."""
    values = np.maximum(generator.normal(size=(n, d)) * generator.lognormal(size=d) + 0.3, 0)
    values[:, 0] = 0
    return values


def draw_overlapping(generator: np.random.Generator, n: int, d: int, k: int) -> NDArray[np.float64]:
    """Clusters that can hardly be told apart."""
    return generator.normal(size=(n, d)) + generator.normal(size=(k, d))[generator.integers(k, size=n)] / np.sqrt(d)


def draw_separate(generator: np.random.Generator, n: int, d: int, k: int) -> NDArray[np.float64]:
    """Clusters far apart and far from the origin."""
    return generator.normal(size=(n, d)) + 50 + 5 * generator.normal(size=(k, d))[generator.integers(k, size=n)]


def draw_repeated(generator: np.random.Generator, n: int, d: int, k: int) -> NDArray[np.float64]:
    """Few different rows, each many times."""
    return generator.normal(size=(k + 2, d))[generator.integers(k + 2, size=n)]


def draw_outliers(generator: np.random.Generator, n: int, d: int, k: int) -> NDArray[np.float64]:
    """Clusters of one row."""
    values = generator.normal(size=(n, d))
    values[: k - 1] += 60 * generator.normal(size=(k - 1, d))
    return values


DRAWS: tuple[Draw, ...] = (draw_noise, draw_overlapping, draw_separate, draw_repeated, draw_outliers)


def draw_cases(draw: Draw, k: int) -> Iterator[tuple[NDArray[np.floating], int, int]]:
    """(features, seed, n_init) in both precisions."""
    for seed in range(12):
        generator = np.random.default_rng([seed, k])
        values = draw(generator, int(generator.integers(60, 700)), int(generator.integers(2, 70)), k)
        for n_init in (1, 4):
            yield values.astype(np.float32), seed, n_init
            yield values, seed, n_init


def fit_reference(values: NDArray[np.floating], k: int, seed: int, n_init: int) -> KMeans:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(k, random_state=seed, n_init=n_init).fit(values)


def fit(values: NDArray[np.floating], k: int, seed: int, n_init: int = 1) -> NearestCentres:
    return fit_kmeans(torch.from_numpy(values), k, np.random.RandomState(seed), n_init)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_k_means_is_scikit_learns_but_for_rounding(draw: Draw, k: int) -> None:
    agreements, iterations, inertias = [], [], []
    for values, seed, n_init in draw_cases(draw, k):
        reference, ours = fit_reference(values, k, seed, n_init), fit(values, k, seed, n_init)
        agreements.append(agreement(reference.labels_.astype(np.int64), ours.labels, k))
        iterations.append(reference.n_iter_ == ours.iterations)
        inertias.append(ours.inertia / reference.inertia_ if reference.inertia_ > 1e-3 else 1.0)
    # One of the 48 may leave the common path where rounding decides between two rows or two starts.
    assert sum(each < 0.999 for each in agreements) <= 1, sorted(agreements)[:4]
    assert np.mean(agreements) >= 0.999
    assert sum(iterations) >= 46
    assert np.median(np.abs(np.array(inertias) - 1)) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_start_is_scikit_learns(k: int, dtype: type[np.floating]) -> None:
    for seed in range(25):
        values = draw_noise(np.random.default_rng(seed), 300, 20, k).astype(dtype)
        centred = values - values.mean(axis=0)
        expected, _ = kmeans_plusplus(centred, k, random_state=np.random.RandomState(seed))
        features = torch.from_numpy(values)
        data = _centre(features, features.mean(dim=0))
        found = _draw_starts(data, k, np.random.RandomState(seed), 1)[0].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_starts_side_by_side_are_those_one_after_the_other() -> None:
    values = torch.from_numpy(draw_noise(np.random.default_rng(0), 400, 12, 4))
    together = fit_kmeans_starts(values, 4, np.random.RandomState(5), 6)
    generator = np.random.RandomState(5)
    for fit in together:
        alone = fit_kmeans(values, 4, generator)
        np.testing.assert_array_equal(fit.labels, alone.labels)
        np.testing.assert_allclose(fit.centres, alone.centres, atol=1e-12)
        assert (fit.iterations, fit.inertia) == (alone.iterations, pytest.approx(alone.inertia, rel=1e-12))
    assert len({fit.iterations for fit in together}) > 1  # they did not all end at once


def test_an_empty_cluster_takes_the_farthest_row_by_hand() -> None:
    """Three centres, of which the last is nobody's nearest: it takes 9, the row farthest from its centre 4."""
    values = torch.tensor([[0.0], [0.0], [2.0], [9.0]], dtype=torch.float64)
    from itrp.clustering.kmeans import _fill_empty

    labels, centres = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.0], [4.0], [100.0]], dtype=torch.float64)
    sums, counts = torch.tensor([[0.0], [11.0], [0.0]], dtype=torch.float64), torch.tensor([2.0, 2.0, 0.0])
    assert _fill_empty(values, labels, centres, sums, counts.double()).tolist() == [[0.0], [2.0], [9.0]]


def test_with_fewer_different_rows_than_clusters_the_largest_ones_place_is_shared() -> None:
    values = np.repeat([[0.0, 1.0], [2.0, 3.0]], [30, 10], axis=0)
    reference, ours = fit_reference(values, 3, 0, 1), fit(values, 3, 0)
    np.testing.assert_allclose(np.sort(ours.centres, axis=0), np.sort(reference.cluster_centers_, axis=0), atol=1e-12)
    assert set(ours.labels.tolist()) == set(reference.labels_.tolist())
    assert ours.inertia == pytest.approx(0, abs=1e-9)


def test_inertia_and_iterations_by_hand() -> None:
    """0 1 | 9 10 11: means 1/2 and 10, squares 2 (1/4) + 2 = 5/2. In float32 with an offset too."""
    for offset, dtype in ((0.0, np.float64), (1000.0, np.float32)):
        fitted = fit((np.array([[0.0], [1.0], [9.0], [10.0], [11.0]]) + offset).astype(dtype), 2, seed=0)
        assert fitted.inertia == pytest.approx(2.5, rel=1e-5)
        assert sorted(fitted.centres.ravel().tolist()) == pytest.approx([offset + 0.5, offset + 10])
        assert fitted.predict(np.array([[offset - 3], [offset + 6.0]])).tolist() == [fitted.labels[0], fitted.labels[2]]


def test_what_is_fitted_is_what_is_predicted() -> None:
    values = draw_overlapping(np.random.default_rng(1), 500, 30, 3).astype(np.float32)
    fitted = fit(values, 3, seed=2, n_init=3)
    assert (fitted.predict(values) == fitted.labels).mean() >= 0.998
    assert (fitted.labels.dtype, fitted.centres.dtype, fitted.centres.shape) == (np.int64, np.float32, (3, 30))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_a_gpu_finds_what_the_cpu_finds(draw: Draw) -> None:
    agreements = []
    for values, seed, n_init in draw_cases(draw, 3):
        features = torch.from_numpy(values).cuda()
        found = fit_kmeans(features, 3, np.random.RandomState(seed), n_init)
        agreements.append(agreement(fit(values, 3, seed, n_init).labels, found.labels, 3))
    assert sum(each < 0.999 for each in agreements) <= 1
