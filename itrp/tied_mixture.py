"""Gaussian mixture with one covariance for all components (scikit-learn's covariance_type="tied"), made fast.

With a tied covariance the within-component scatter is the total scatter less the scatter of the means: S_w =
T - sum_k pi_k (m_k - m)(m_k - m)^T. T never changes while EM runs, so one Cholesky T = L L^T and one
whitening Z = (X - m) L^-T serve every iteration; in that space S_w = I - C C^T differs from the identity by
rank k-1, and its inverse (Woodbury) and determinant are those of a k x k matrix. An iteration costs n*d*k
instead of d^3 + n*d^2*k. Steps, start, stopping rule and regularisation are those of
`sklearn.mixture.GaussianMixture`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp
from sklearn.cluster import KMeans

REGULARISATION = 1e-6
MAX_ITERATIONS = 100
TOLERANCE = 1e-3
"""scikit-learn's defaults: added to the covariance's diagonal; EM steps at most; change of the mean
log-likelihood below which EM stops."""
SMALLEST_REMAINDER = 1e-10
"""Share of the scatter in its narrowest direction below which T less the scatter of the means has lost
the digits that count."""


class SingularScatterError(ArithmeticError):
    """The scatter cannot be inverted this way: fit with scikit-learn itself."""


@dataclass(frozen=True, eq=False)
class TiedMixture:
    """A fitted mixture; the component of a row is the argmax of x . coefficients + intercepts."""

    mean: NDArray[np.float64]
    """[d] mean of all rows, taken off first."""
    coefficients: NDArray[np.float64]
    """[k, d] inverse covariance times centred component mean."""
    intercepts: NDArray[np.float64]
    """[k]"""
    weights: NDArray[np.float64]
    """[k], sum 1."""
    log_likelihood: float
    """Mean over the rows, as scikit-learn's `lower_bound_`."""
    iterations: int
    converged: bool

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Most probable component of each row, [n], of features [n, d]."""
        centred = np.asarray(features, dtype=np.float64) - self.mean
        scores = centred @ self.coefficients.T + self.intercepts  # (n, k)
        return scores.argmax(axis=1).astype(np.int64)

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(coefficients [k, d], intercepts [k]) for features as they are, the mean not taken off."""
        return self.coefficients, self.intercepts - self.coefficients @ self.mean


@dataclass(frozen=True, eq=False)
class _Whitened:
    """The data of the EM steps: Z = (X - mean) L^-T."""

    rows: NDArray[np.float64]
    """[n, d]"""
    squares: NDArray[np.float64]
    """[n] squared lengths of the rows."""
    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    """[d, d] L, lower triangular."""
    log_determinant: float
    """Of the total scatter."""


@dataclass(frozen=True, eq=False)
class _Components:
    """Parameters of the mixture in the whitened space, with what follows from them."""

    weights: NDArray[np.float64]
    """[k]"""
    means: NDArray[np.float64]
    """[k, d]"""
    loadings: NDArray[np.float64]
    """[k, k]: row j is C^T a_j, the component mean a_j seen through C."""
    inner: NDArray[np.float64]
    """[k, k] (I - C^T C)^-1: Woodbury."""
    log_determinant: float
    """Of I - C C^T."""


def fit_tied_mixture(features: NDArray[np.floating], k: int, seed: int, n_init: int = 1) -> TiedMixture:
    """Fit k components with a tied covariance by EM from a k-means start; the best of `n_init` starts.

    features: [n, d], taken to float64. Gives the labels that GaussianMixture(k, covariance_type="tied",
    random_state=seed, n_init=n_init) gives for float64. Raises SingularScatterError when n <= d or the
    scatter cannot be factored.
    """
    values = np.asarray(features, dtype=np.float64)
    if len(values) <= values.shape[1]:
        raise SingularScatterError(f"{len(values)} rows in {values.shape[1]} dimensions")
    whitened = _whiten(values)
    # One generator for all starts, a local one, because scikit-learn draws its starts in this way.
    random_state = np.random.RandomState(seed)
    best: TiedMixture | None = None
    for _ in range(n_init):
        start = KMeans(k, n_init=1, random_state=random_state).fit(values).labels_
        fitted = _run_em(whitened, np.eye(k)[start])
        if best is None or fitted.log_likelihood > best.log_likelihood:
            best = fitted
    assert best is not None
    return best


def _whiten(values: NDArray[np.float64]) -> _Whitened:
    """Centre [n, d] values and turn them so that their regularised total scatter is the identity."""
    mean = values.mean(axis=0)
    centred = values - mean
    scatter = centred.T @ centred / len(values)
    scatter.flat[:: scatter.shape[0] + 1] += REGULARISATION
    try:
        factor = cholesky(scatter, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise SingularScatterError(str(error)) from None
    rows = solve_triangular(factor, centred.T, lower=True, overwrite_b=True, check_finite=False).T
    rows = np.ascontiguousarray(rows)
    log_determinant = 2 * float(np.log(np.diagonal(factor)).sum())
    return _Whitened(rows, np.einsum("nd,nd->n", rows, rows), mean, factor, log_determinant)


def _run_em(data: _Whitened, responsibilities: NDArray[np.float64]) -> TiedMixture:
    """EM from the given [n, k] responsibilities to the tolerance or the last iteration."""
    components = _estimate_components(data, responsibilities)
    bound, converged, iteration = -np.inf, False, 0
    while iteration < MAX_ITERATIONS and not converged:
        iteration += 1
        log_probabilities = _estimate_log_probabilities(data, components)  # (n, k)
        totals = logsumexp(log_probabilities, axis=1)
        components = _estimate_components(data, np.exp(log_probabilities - totals[:, None]))
        previous, bound = bound, float(totals.mean())
        converged = abs(bound - previous) < TOLERANCE
    return _unwhiten(data, components, bound, iteration, converged)


def _estimate_components(data: _Whitened, responsibilities: NDArray[np.float64]) -> _Components:
    """M step: weights, means and the change of the covariance from [n, k] responsibilities."""
    # The tiny addend is scikit-learn's guard against an empty component.
    sizes = responsibilities.sum(axis=0) + 10 * np.finfo(np.float64).eps
    means = (responsibilities.T @ data.rows) / sizes[:, None]
    weights = sizes / sizes.sum()
    roots = np.sqrt(weights)
    gram = means @ means.T
    # C = A^T diag(sqrt pi): C^T C and C^T a_j are the Gram matrix of the means with its sides weighted.
    remainder = np.eye(len(weights)) - roots[:, None] * gram * roots
    shares = np.linalg.eigvalsh(remainder)
    if not shares.min() > SMALLEST_REMAINDER:
        raise SingularScatterError("the components explain the whole scatter")
    log_determinant = float(np.log(shares).sum())
    return _Components(weights, means, gram * roots, np.linalg.inv(remainder), log_determinant)


def _estimate_log_probabilities(data: _Whitened, components: _Components) -> NDArray[np.float64]:
    """E step: log of weight times density, [n, k]."""
    products = data.rows @ components.means.T  # (n, k)
    seen = products * np.sqrt(components.weights)  # (n, k), C^T z
    distances = np.empty_like(products)
    for j, loading in enumerate(components.loadings):
        difference = seen - loading
        straight = data.squares - 2 * products[:, j] + components.means[j] @ components.means[j]
        distances[:, j] = straight + np.einsum("na,ab,nb->n", difference, components.inner, difference)
    constant = data.rows.shape[1] * np.log(2 * np.pi) + data.log_determinant + components.log_determinant
    return -0.5 * (constant + distances) + np.log(components.weights)


def _unwhiten(data: _Whitened, components: _Components, bound: float, iterations: int, converged: bool) -> TiedMixture:
    """Linear scores for the features themselves: inverse covariance times mean is L^-T (I - C C^T)^-1 a."""
    roots = np.sqrt(components.weights)
    # (I - C C^T)^-1 a_j = a_j + C (I - C^T C)^-1 C^T a_j, and C = A^T diag(roots).
    inverted = components.means + (components.loadings @ components.inner * roots) @ components.means
    coefficients = solve_triangular(data.factor, inverted.T, lower=True, trans="T", check_finite=False).T
    intercepts = np.log(components.weights) - 0.5 * np.einsum("kd,kd->k", inverted, components.means)
    return TiedMixture(data.mean, coefficients, intercepts, components.weights, bound, iterations, converged)
