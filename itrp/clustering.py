"""Pseudo-labels from embeddings: [n, d] to [n] clusters by k-means, a tied Gaussian mixture, or chance."""

from dataclasses import dataclass
from logging import getLogger
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from itrp.errors import DataError
from itrp.tied_mixture import REGULARISATION, SingularScatterError, fit_tied_mixture

Method = Literal["kmeans", "gmm", "random"]
"""k-means; Gaussian mixture with tied covariance; uniform random clusters (the paper's control)."""

logger = getLogger(__name__)


class Clusters(Protocol):
    """A fitted clustering."""

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Clusters [n] in 0..k-1 of features [n, d]."""


class LinearClusters(Clusters, Protocol):
    """A fitted clustering whose cluster is the argmax of scores that are linear in the features."""

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(coefficients [k, d], intercepts [k]): the cluster of x is the argmax of x . coefficients + intercepts."""


@dataclass(frozen=True, eq=False)
class ScikitClusters:
    """Clusters of a fitted scikit-learn estimator."""

    estimator: KMeans | GaussianMixture
    dtype: np.dtype[np.floating]
    """What it was fitted on; scikit-learn's k-means does not mix precisions."""

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Clusters [n] of features [n, d]."""
        return np.asarray(self.estimator.predict(np.asarray(features, dtype=self.dtype)), dtype=np.int64)

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """k-means: the nearest centre, argmin |x - c|^2 = argmax x.2c - |c|^2. Tied mixture: log posterior, whose square
        in x is the same for all components: x.P m + log pi - m.P m / 2 with P the precision matrix.

        With m = mean + s, mean over the components, what all scores share is left out: a feature that hardly varies has a
        precision of up to 1 / REGULARISATION, and x.P mean alone would take all digits of a float32.
        """
        if isinstance(self.estimator, KMeans):
            means = np.asarray(self.estimator.cluster_centers_, dtype=np.float64)
            shifts = means - means.mean(axis=0)
            coefficients, priors = 2 * shifts, np.zeros(len(means))
        else:
            means = self.estimator.means_
            shifts = means - means.mean(axis=0)
            coefficients, priors = shifts @ self.estimator.precisions_, np.log(self.estimator.weights_)
        return coefficients, priors - np.einsum("kd,kd->k", coefficients, means.mean(axis=0) + shifts / 2)


@dataclass(frozen=True)
class RandomClusters:
    """Uniform random clusters, the same ones for every call with as many rows."""

    k: int
    seed: int

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Clusters [n] of features [n, d], whose values are not looked at."""
        return np.random.default_rng(self.seed).integers(self.k, size=len(features), dtype=np.int64)


def assign_clusters(
    features: NDArray[np.floating], method: Method, k: int, seed: int, n_init: int = 1
) -> NDArray[np.int64]:
    """Cluster features [n, d] into k groups: [n] int64 in 0..k-1, every group with at least one row.

    Arguments and errors as for `fit_clusters`; a DataError too when a group stays empty.
    """
    clusters = fit_clusters(features, method, k, seed, n_init).predict(features)
    sizes = np.bincount(clusters, minlength=k)
    if not sizes.all():
        raise DataError(
            f"expected {k} clusters with pairs in each, {method} found the sizes {sizes.tolist()}: "
            "use a larger subset, another seed, or kmeans"
        )
    return clusters


def fit_clusters(
    features: NDArray[np.floating], method: Method, k: int, seed: int, n_init: int = 1
) -> LinearClusters | RandomClusters:
    """Fit k clusters to features [n, d], to be predicted for these or other features.

    `kmeans` is scikit-learn's KMeans in the features' own precision (n_init 1 is its default now, 10 was when
    the paper was written); `gmm` is its GaussianMixture with tied covariance, in float64, see
    `itrp.tied_mixture`. n_init: starts, of which the best is kept. Raises DataError for another method,
    features that are not a finite [n, d] array, and fewer different rows than clusters (for `random`, fewer
    rows).
    """
    if method not in ("kmeans", "gmm", "random"):
        raise DataError(f"expected the clustering kmeans, gmm or random, found {method!r}")
    features = np.asarray(features)
    _check_features(features, k, look_at_values=method != "random")
    if method == "random":
        return RandomClusters(k, seed)
    if method == "gmm":
        return _fit_mixture(features, k, seed, n_init)
    return ScikitClusters(KMeans(k, random_state=seed, n_init=n_init).fit(features), features.dtype)


def fit_linear_clusters(
    features: NDArray[np.floating], method: Method, k: int, seed: int, n_init: int = 1
) -> LinearClusters:
    """`fit_clusters` for k-means and the mixture, whose clusters a linear layer can tell. Raises DataError for `random`."""
    clusters = fit_clusters(features, method, k, seed, n_init)
    if isinstance(clusters, RandomClusters):
        raise DataError("expected kmeans or gmm, found random: random clusters do not depend on the features")
    return clusters


def _fit_mixture(features: NDArray[np.floating], k: int, seed: int, n_init: int) -> LinearClusters:
    """The fast mixture, or scikit-learn's where the total scatter has no inverse worth having."""
    try:
        fitted = fit_tied_mixture(features, k, seed, n_init)
    except SingularScatterError as error:
        logger.debug("scikit-learn fits the mixture: %s", error)
        return _fit_scikit_mixture(features, k, seed, n_init)
    if not fitted.converged:
        logger.warning("the mixture stopped after %d iterations without converging", fitted.iterations)
    return fitted


def _fit_scikit_mixture(features: NDArray[np.floating], k: int, seed: int, n_init: int) -> ScikitClusters:
    """scikit-learn's tied mixture in float64. Raises DataError when it cannot fit either."""
    mixture = GaussianMixture(k, covariance_type="tied", reg_covar=REGULARISATION, random_state=seed, n_init=n_init)
    try:
        fitted = mixture.fit(features.astype(np.float64))
    except ValueError as error:
        raise DataError(
            f"no Gaussian mixture fits the {len(features)} rows of {features.shape[1]} features ({error}): "
            "use a larger subset, or kmeans"
        ) from error
    return ScikitClusters(fitted, np.dtype(np.float64))


def _check_features(features: NDArray[np.floating], k: int, *, look_at_values: bool) -> None:
    """Refuse what cannot fall into k clusters."""
    if features.ndim != 2:
        raise DataError(f"expected features of the shape [n, d], found the shape {features.shape}")
    if not look_at_values:
        found = len(features)
    elif not np.isfinite(features).all():
        raise DataError("expected finite features, found NaN or infinity: check the encoders' outputs")
    else:
        found = _count_distinct_rows(features, k)
    if found < k:
        raise DataError(
            f"expected at least {k} different rows for {k} clusters, found {found}: "
            "use a larger subset, or check that the pairs are not all the same"
        )


def _count_distinct_rows(features: NDArray[np.floating], enough: int) -> int:
    """Number of different rows, counted up to `enough`: real data stop after a few rows, unsorted."""
    seen: set[bytes] = set()
    for row in features:
        seen.add((row + 0.0).tobytes())  # + 0.0 makes -0.0 and 0.0 the same bytes
        if len(seen) >= enough:
            break
    return len(seen)
