"""Gaussian mixture with one covariance for all components (scikit-learn's covariance_type="tied"), made fast, on any device.

With a tied covariance the within-component scatter is the total scatter less the scatter of the means: S_w =
T - sum_k pi_k (m_k - m)(m_k - m)^T. T never changes while EM runs, so it is factored once for all starts and iterations, and
the inverse of S_w follows from the k x k matrix of Woodbury's identity. The terms of the log-likelihood that T alone decides
are the same for all components and iterations and are left out, so that an iteration is two products of the features with
k-1 vectors: n*d*k instead of d^3 + n*d^2*k. Steps, start, stopping rule and regularisation are those of
`sklearn.mixture.GaussianMixture`. An iteration waits for the device once, for what is k x k and for whether it was the last.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.clustering.kmeans import fit_kmeans_starts

REGULARISATION = 1e-6
MAX_ITERATIONS = 100
TOLERANCE = 1e-3
"""scikit-learn's defaults: added to the covariance's diagonal; EM steps at most; change of the mean
log-likelihood below which EM stops."""
SMALLEST_REMAINDER = 1e-10
"""Share of the scatter in its narrowest direction below which T less the scatter of the means has lost
the digits that count."""
SCATTER_COLUMNS = 352
"""Columns of the scatter computed at a time: what lies above the diagonal of the others is not computed."""


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
    gain: float
    """Mean log-likelihood of the rows above that of one component: the difference of scikit-learn's two `lower_bound_`."""
    iterations: int
    converged: bool

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Most probable component of each row, [n], of features [n, d]."""
        centred = np.asarray(features, dtype=np.float64) - self.mean
        scores = centred @ self.coefficients.T + self.intercepts  # (n, k)
        best: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
        return best

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(coefficients [k, d], intercepts [k]) for features as they are, the mean not taken off."""
        return self.coefficients, self.intercepts - self.coefficients @ self.mean


@dataclass(frozen=True, eq=False)
class _Scattered:
    """The data of the EM steps."""

    mean: Tensor
    """[d]"""
    rows: Tensor
    """[n, d] less the mean."""
    factor: Tensor
    """[d, d] lower triangular, of the regularised total scatter."""
    inverse: Tensor | None
    """[d, d] of the same, where a product with it is quicker than two solutions: on a GPU."""

    def solve(self, vectors: Tensor) -> Tensor:
        """[m, d] T^-1 v of each of [m, d] vectors."""
        if self.inverse is not None:
            return vectors @ self.inverse
        half = torch.linalg.solve_triangular(self.factor, vectors.T, upper=False)
        solved: Tensor = torch.linalg.solve_triangular(self.factor.T, half, upper=True)
        return solved.T


@dataclass(frozen=True, eq=False)
class _Components:
    """Parameters of the mixture, with what follows from them."""

    weights: NDArray[np.float64]
    """[k]"""
    coefficients: Tensor
    """[k, d] inverse covariance times centred mean."""
    intercepts: NDArray[np.float64]
    """[k]"""
    shared: float
    """Mean log-likelihood that all components share, above one Gaussian's."""


def fit_tied_mixture(features: NDArray[np.floating] | Tensor, k: int, seed: int, n_init: int = 1) -> TiedMixture:
    """Fit k components with a tied covariance by EM from a k-means start; the best of `n_init` starts.

    features: [n, d], taken to float64; the device they lie on does the work. Gives the labels that
    GaussianMixture(k, covariance_type="tied", random_state=seed, n_init=n_init) gives for float64. Raises
    SingularScatterError when n <= d or the scatter cannot be factored.
    """
    with torch.inference_mode():
        values = torch.as_tensor(features).double()
        if len(values) <= values.shape[1]:
            raise SingularScatterError(f"{len(values)} rows in {values.shape[1]} dimensions")
        data = _scatter(values)
        # One generator for all starts, a local one, because scikit-learn draws its starts in this way.
        starts = fit_kmeans_starts(values, k, np.random.RandomState(seed), n_init)
        labels = (torch.from_numpy(start.labels).to(values.device) for start in starts)
        fits = [_run_em(data, nn.functional.one_hot(each, k).double()) for each in labels]
        return max(fits, key=lambda fit: fit.gain)


def _scatter(values: Tensor) -> _Scattered:
    """Centre [n, d] values, and factor their regularised total scatter."""
    mean = values.mean(dim=0)
    rows = values - mean
    n, d = rows.shape
    scatter = rows.new_zeros((d, d))
    for start in range(0, d, SCATTER_COLUMNS):
        columns = slice(start, start + SCATTER_COLUMNS)
        torch.mm(rows[:, start:].T, rows[:, columns], out=scatter[start:, columns])
    scatter /= n
    scatter.diagonal().add_(REGULARISATION)
    factor, failed = torch.linalg.cholesky_ex(scatter)
    if failed:
        raise SingularScatterError(f"the leading minor of order {int(failed)} is not positive definite")
    # Not on a CPU: it costs more there than what all iterations solve, and MKL's threads wait for each other on busy cores.
    inverse = torch.cholesky_inverse(factor) if factor.is_cuda else None
    return _Scattered(mean, rows, factor, inverse)


def _run_em(data: _Scattered, responsibilities: Tensor) -> TiedMixture:
    """EM from the given [n, k] responsibilities to the tolerance or the last iteration."""
    components, _ = _estimate_components(data, responsibilities, data.mean.new_zeros(()))
    gain, converged, iteration = -np.inf, False, 0
    while iteration < MAX_ITERATIONS and not converged:
        iteration += 1
        shared = components.shared + float(components.intercepts[-1])
        scores = _score_against_last(data.rows, components)  # (n, k)
        totals = scores.logsumexp(dim=1)
        components, mean_total = _estimate_components(data, (scores - totals.unsqueeze(1)).exp(), totals.mean())
        previous, gain = gain, shared + mean_total
        converged = abs(gain - previous) < TOLERANCE
    return TiedMixture(
        data.mean.cpu().numpy(),
        components.coefficients.cpu().numpy(),
        components.intercepts,
        components.weights,
        gain,
        iteration,
        converged,
    )


def _score_against_last(rows: Tensor, components: _Components) -> Tensor:
    """E step: log of weight times density, [n, k], less the last component's (whose mean is its intercept: rows are centred)."""
    directions = components.coefficients[:-1] - components.coefficients[-1]
    intercepts = torch.from_numpy(components.intercepts[:-1] - components.intercepts[-1]).to(rows.device)
    return nn.functional.pad(torch.addmm(intercepts, rows, directions.T), (0, 1))


def _estimate_components(data: _Scattered, responsibilities: Tensor, mean_total: Tensor) -> tuple[_Components, float]:
    """M step: weights, means and the change of the covariance from [n, k] responsibilities.

    The other result is `mean_total`, brought to the host together with what is k x k.
    """
    k = responsibilities.shape[1]
    # The tiny addend is scikit-learn's guard against an empty component.
    sizes = responsibilities.sum(dim=0) + 10 * torch.finfo(torch.float64).eps
    sums = responsibilities[:, :-1].T.contiguous() @ data.rows
    means = _with_last(sums) / sizes.unsqueeze(1)  # (k, d), M
    solved = _with_last(data.solve(sums)) / sizes.unsqueeze(1)  # (k, d), M T^-1
    products = (_multiply(means, solved.T), _multiply(solved, solved.T))
    brought = torch.cat([sizes, *(each.flatten() for each in products), mean_total.reshape(1)]).cpu().numpy()
    gram, gram_of_solved = brought[k:-1].reshape(2, k, k)
    weights = brought[:k] / brought[:k].sum()
    roots = np.sqrt(weights)
    # With T = L L^T the whitened means are the rows of A = M L^-T, and S_w = L (I - C C^T) L^T with C = A^T diag(roots).
    overlap = roots[:, None] * gram * roots  # C^T C
    remainder = np.eye(k) - overlap
    shares = np.linalg.eigvalsh(remainder)
    if not shares.min() > SMALLEST_REMAINDER:
        raise SingularScatterError("the components explain the whole scatter")
    inner = np.linalg.inv(remainder)  # (I - C^T C)^-1: Woodbury
    # (I - C C^T)^-1 a_j = a_j + C (I - C^T C)^-1 C^T a_j
    mixing = np.eye(k) + gram * roots @ inner * roots
    # the mean of |C^T z|^2 under `inner`, which all components share: the z have the covariance I - regularisation T^-1
    seen = overlap - REGULARISATION * roots[:, None] * gram_of_solved * roots
    shared = -0.5 * (np.log(shares).sum() + np.einsum("ab,ba->", inner, seen))
    intercepts = np.log(weights) - 0.5 * np.einsum("ij,ij->i", mixing, gram)
    coefficients = _multiply(torch.from_numpy(mixing).to(solved.device), solved)
    return _Components(weights, coefficients, intercepts, float(shared)), float(brought[-1])


def _multiply(left: Tensor, right: Tensor) -> Tensor:
    """The product of small matrices, without the threads of a matrix product: on busy cores they cost more than an iteration."""
    return (left.unsqueeze(2) * right).sum(dim=1)


def _with_last(sums: Tensor) -> Tensor:
    """[k, d] from the first k-1 components' sums: the rows are centred, so all of them add up to nothing."""
    return torch.cat((sums, -sums.sum(dim=0, keepdim=True)))
