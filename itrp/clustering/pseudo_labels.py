"""Pseudo-labels from embeddings: [n, d] to [n] clusters by k-means, a tied Gaussian mixture, or chance."""

from dataclasses import dataclass
from logging import getLogger
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from torch import Tensor

from itrp.clustering.kmeans import NearestCentres, fit_kmeans
from itrp.clustering.tied_mixture import REGULARISATION, SingularScatterError, fit_tied_mixture
from itrp.errors import DataError

Method = Literal["kmeans", "gmm", "random"]
"""k-means; Gaussian mixture with tied covariance; uniform random clusters (the paper's control)."""

CPU = torch.device("cpu")

ROUNDING = 1e-5
"""Rows nearer than this share of the largest number are the same row: some hundred times what fp32 encoders round off."""
ROWS_TOGETHER = 256

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
    """Clusters of scikit-learn's fitted mixture."""

    estimator: GaussianMixture

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Clusters [n] of features [n, d]."""
        return np.asarray(self.estimator.predict(np.asarray(features, dtype=np.float64)), dtype=np.int64)

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The log posterior, whose square in x is the same for all components: x.P m + log pi - m.P m / 2 with P the
        precision matrix.

        With m = mean + s, mean over the components, what all scores share is left out: a feature that hardly varies has a
        precision of up to 1 / REGULARISATION, and x.P mean alone would take all digits of a float32.
        """
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
    features: NDArray[np.floating],
    method: Method,
    k: int,
    seed: int,
    n_init: int = 1,
    device: torch.device = CPU,
) -> NDArray[np.int64]:
    """Cluster features [n, d] into k groups: [n] int64 in 0..k-1, every group with at least one row.

    Arguments and errors as for `fit_clusters`; a DataError too when a group stays empty.
    """
    fitted = fit_clusters(features, method, k, seed, n_init, device)
    clusters = fitted.labels if isinstance(fitted, NearestCentres) else fitted.predict(features)
    sizes = np.bincount(clusters, minlength=k)
    if not sizes.all():
        raise DataError(
            f"expected {k} clusters with pairs in each, {method} found the sizes {sizes.tolist()}: "
            "use a larger subset, another seed, or kmeans"
        )
    return clusters


def fit_clusters(
    features: NDArray[np.floating],
    method: Method,
    k: int,
    seed: int,
    n_init: int = 1,
    device: torch.device = CPU,
) -> LinearClusters | RandomClusters:
    """Fit k clusters to features [n, d], to be predicted for these or other features; `device` does the work.

    `kmeans` is scikit-learn's KMeans in the features' own precision, see `itrp.clustering.kmeans` (n_init 1 is its
    default now, 10
    was when the paper was written); `gmm` is its GaussianMixture with tied covariance, in float64, see
    `itrp.clustering.tied_mixture`. n_init: starts, of which the best is kept. Raises DataError for another method,
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
        return _fit_mixture(features, k, seed, n_init, device)
    return fit_kmeans(_to_tensor(features).to(device), k, np.random.RandomState(seed), n_init)


def fit_linear_clusters(
    features: NDArray[np.floating],
    method: Method,
    k: int,
    seed: int,
    n_init: int = 1,
    device: torch.device = CPU,
) -> LinearClusters:
    """`fit_clusters` for k-means and the mixture, whose clusters a linear layer can tell. Raises DataError for `random`."""
    clusters = fit_clusters(features, method, k, seed, n_init, device)
    if isinstance(clusters, RandomClusters):
        raise DataError("expected kmeans or gmm, found random: random clusters do not depend on the features")
    return clusters


def _to_tensor(features: NDArray[np.floating]) -> Tensor:
    """float32 and float64 as they are, everything else as float64; a copy only where torch may not share the memory."""
    kept = features if features.dtype in (np.float32, np.float64) else features.astype(np.float64)
    return torch.from_numpy(kept if kept.flags.writeable else kept.copy())


def _fit_mixture(
    features: NDArray[np.floating], k: int, seed: int, n_init: int, device: torch.device
) -> LinearClusters:
    """The fast mixture, or scikit-learn's where the total scatter has no inverse worth having."""
    try:
        fitted = fit_tied_mixture(_to_tensor(features).to(device), k, seed, n_init)
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
    return ScikitClusters(fitted)


def _check_features(features: NDArray[np.floating], k: int, *, look_at_values: bool) -> None:
    """Refuse what cannot fall into k clusters."""
    if features.ndim != 2:
        raise DataError(f"expected features of the shape [n, d], found the shape {features.shape}")
    if not look_at_values:
        found = len(features)
    elif not _is_finite(features):
        raise DataError("expected finite features, found NaN or infinity: check the encoders' outputs")
    else:
        found = _count_distinct_rows(features, k)
    if found < k:
        raise DataError(
            f"expected at least {k} different rows for {k} clusters, found {found}: "
            "use a larger subset, or check that the pairs are not all the same"
        )


def _is_finite(features: NDArray[np.floating]) -> bool:
    """The sum, which costs nothing to keep, tells; unless it is beyond the largest number."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(features.sum()) or np.isfinite(features).all())


def _count_distinct_rows(features: NDArray[np.floating], enough: int) -> int:
    """Number of rows that differ by more than rounding, counted up to `enough`: real data stop after a few rows, unsorted.

    Equal pairs that an encoder has read in batches of other sizes differ in their last bits.
    """
    largest = max(float(features.max(initial=0.0)), -float(features.min(initial=0.0)))
    tolerance = ROUNDING * largest
    found: list[NDArray[np.floating]] = []
    for start in range(0, len(features), ROWS_TOGETHER):
        rest = features[start : start + ROWS_TOGETHER]
        for known in found:
            rest = rest[np.abs(rest - known).max(axis=1, initial=0.0) > tolerance]
        while len(rest) and len(found) < enough:
            found.append(rest[0])
            rest = rest[np.abs(rest - rest[0]).max(axis=1, initial=0.0) > tolerance]
        if len(found) >= enough:
            break
    return len(found)
