"""k-means in torch, on whichever device the features lie: scikit-learn's KMeans from the same start, by the same rules.

The starts are independent, so all of them go on side by side: the features, which are all there is to read, are read once an
iteration for all starts and not once for each. The draws are scikit-learn's too (a numpy RandomState), so both begin at the
same rows; from there on they differ by rounding alone. An iteration waits for the device once, to know whether it was the last.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MAX_ITERATIONS = 300
TOLERANCE = 1e-4
"""scikit-learn's defaults: iterations at most; the centres' squared shift, over the features' mean variance, that ends them."""
UPCAST_ROWS = 256
"""Rows taken to float64 at a time on a CPU: what fits its cache."""


@dataclass(frozen=True, eq=False)
class NearestCentres:
    """What one start ended with."""

    centres: NDArray[np.floating]
    """[k, d]"""
    labels: NDArray[np.int64]
    """[n] cluster of each row that was fitted."""
    inertia: float
    """Sum of the squared distances to the nearest centre."""
    iterations: int

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Nearest centre of each row, [n], of features [n, d]."""
        coefficients, intercepts = self.linear_scores()
        scores = np.asarray(features, dtype=np.float64) @ coefficients.T + intercepts  # (n, k)
        nearest: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
        return nearest

    def linear_scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(coefficients [k, d], intercepts [k]): argmin |x - c|^2 = argmax x.2c - |c|^2; what all centres share is left out."""
        middle = self.centres.mean(axis=0, dtype=np.float64)
        shifts = self.centres - middle
        return 2 * shifts, -np.einsum("kd,kd->k", 2 * shifts, middle + shifts / 2)


@dataclass(frozen=True, eq=False)
class _Centred:
    """The rows less their mean, and what every start needs of them."""

    rows: Tensor
    """[n, d]"""
    squares: Tensor
    """[n] float64 squared lengths."""
    total: Tensor
    """[d] sum of the rows: zero but for rounding."""


@torch.inference_mode()
def fit_kmeans(features: Tensor, k: int, random_state: np.random.RandomState, n_init: int = 1) -> NearestCentres:
    """The best of `n_init` starts on features [n, d], float32 or float64, in their own precision.

    As `KMeans(k, n_init=n_init, random_state=random_state).fit(features)`. Takes n >= k and finite features.
    """
    fits = fit_kmeans_starts(features, k, random_state, n_init)
    best = fits[0]
    for fit in fits[1:]:
        # equal clusterings differ in inertia by rounding, which shall not decide how they are numbered
        if fit.inertia < best.inertia and not _is_same_clustering(fit.labels, best.labels, k):
            best = fit
    return best


@torch.inference_mode()
def fit_kmeans_starts(
    features: Tensor, k: int, random_state: np.random.RandomState, n_init: int
) -> list[NearestCentres]:
    """What each start ends with, in the order in which scikit-learn would draw them."""
    mean = features.mean(dim=0)
    data = _centre(features, mean)
    # centred, so the mean variance is the mean square
    tolerance = TOLERANCE * float(data.squares.mean()) / len(mean)
    centres, iterations = _run_lloyd(data, _draw_starts(data, k, random_state, n_init), tolerance)
    nearest = _score(data.rows, centres).min(dim=2)  # (n, r)
    last = centres[:, -1].double()
    to_last = data.squares.sum() - 2 * last @ data.total.double() + len(features) * last.square().sum(dim=1)  # (r,)
    inertias = to_last + nearest.values.double().sum(dim=0)
    labels = nearest.indices.T.cpu().numpy()
    found = zip((centres + mean).cpu().numpy(), labels, inertias.tolist(), iterations, strict=True)
    return [NearestCentres(*each) for each in found]


def _centre(features: Tensor, mean: Tensor) -> _Centred:
    rows = features - mean
    squares = torch.cat([torch.linalg.vector_norm(part, dim=1).square() for part in _upcast(rows)])
    return _Centred(rows, squares, rows.sum(dim=0))


def _draw_starts(data: _Centred, k: int, random_state: np.random.RandomState, n_init: int) -> Tensor:
    """[n_init, k, d] centres by greedy k-means++ (Arthur and Vassilvitskii 2007), as scikit-learn draws them.

    The distances are the device's; what is drawn by them is drawn here, with the sums in scikit-learn's order and precision,
    because a sum that differs in its last digit may draw another row.
    """
    n, trials, every = len(data.rows), 2 + int(np.log(k)), np.arange(n_init)
    weights = torch.ones(n, dtype=data.rows.dtype).numpy()
    firsts, uniforms = zip(
        *(
            (random_state.choice(n, p=weights / weights.sum()), random_state.uniform(size=(k - 1, trials)))
            for _ in range(n_init)
        ),
        strict=True,
    )
    chosen = [np.array(firsts)]
    closest = _measure_distances(data, chosen[0])  # (r, n)
    potentials = closest @ weights
    for number in range(k - 1):
        levels = np.stack(uniforms)[:, number] * potentials[:, None]  # (r, t)
        candidates = np.stack(list(map(np.searchsorted, closest.cumsum(axis=1), levels))).clip(max=n - 1)
        distances = _measure_distances(data, candidates.ravel()).reshape(n_init, trials, n)
        np.minimum(closest[:, None], distances, out=distances)
        best = (distances @ weights).argmin(axis=1)
        closest = distances[every, best]
        potentials = closest @ weights
        chosen.append(candidates[every, best])
    return data.rows[torch.from_numpy(np.stack(chosen, axis=1)).to(data.rows.device)]


def _measure_distances(data: _Centred, points: NDArray[np.int64]) -> NDArray[np.floating]:
    """[m, n] squared distances of all rows from m of them, computed in float64 and rounded to the rows' precision."""
    places = torch.from_numpy(points).to(data.rows.device)
    others = data.rows[places].double()
    products = torch.cat([others @ part.T for part in _upcast(data.rows)], dim=1)  # (m, n)
    distances = (data.squares[places].unsqueeze(1) - 2 * products + data.squares).clamp_(min=0)
    return distances.to(data.rows.dtype).cpu().numpy()


def _upcast(rows: Tensor) -> Iterator[Tensor]:
    """The rows in float64, part by part and all parts in one place: memory allocated anew costs more than the arithmetic."""
    if rows.dtype == torch.float64:
        yield rows
        return
    size = UPCAST_ROWS if rows.device.type == "cpu" else len(rows)
    place = torch.empty((size, rows.shape[1]), dtype=torch.float64, device=rows.device)
    for part in torch.split(rows, size):
        yield place[: len(part)].copy_(part)


def _run_lloyd(data: _Centred, starts: Tensor, tolerance: float) -> tuple[Tensor, list[int]]:
    """Lloyd's iterations from centres [r, k, d]: where each start ends, and how many it took. Who is done, drops out."""
    centres, ended, iterations = starts, starts.clone(), [MAX_ITERATIONS] * len(starts)
    going = list(range(len(starts)))
    labels = torch.full((len(data.rows), len(starts)), -1, device=data.rows.device)
    for iteration in range(1, MAX_ITERATIONS + 1):
        previous, labels = labels, _score(data.rows, centres).argmin(dim=2)
        centres, stops = _move(data, labels, centres, (labels == previous).all(dim=0), tolerance)
        if not any(stops):
            continue
        for place, start in enumerate(going):
            if stops[place]:
                ended[start], iterations[start] = centres[place], iteration
        left = [place for place, stop in enumerate(stops) if not stop]
        going = [going[place] for place in left]
        if not going:
            return ended, iterations
        centres, labels = centres[left], labels[:, left]
    ended[going] = centres
    return ended, iterations


def _score(rows: Tensor, centres: Tensor) -> Tensor:
    """[n, r, k] squared distances of rows [n, d] from centres [r, k, d], less those from the last of the k.

    One product fewer a start: for two clusters that is half the arithmetic.
    """
    directions = (centres[:, :-1] - centres[:, -1:]).flatten(0, 1)
    lengths = centres.square().sum(dim=2)
    offsets = (lengths[:, :-1] - lengths[:, -1:]).flatten()
    scores = torch.unflatten(torch.addmm(offsets, rows, directions.T, alpha=-2), 1, (len(centres), -1))
    return nn.functional.pad(scores, (0, 1))


def _move(
    data: _Centred, labels: Tensor, centres: Tensor, settled: Tensor, tolerance: float
) -> tuple[Tensor, list[bool]]:
    """New centres [r, k, d] from labels [n, r], and for each start whether it ends here."""
    numbers = torch.arange(centres.shape[1], device=labels.device)
    members = (labels.T.unsqueeze(1) == numbers.unsqueeze(1)).to(data.rows.dtype)  # (r, k, n)
    sums, counts = _add_up(data, members), members.sum(dim=2)
    moved = sums / counts.unsqueeze(2)
    near = (moved - centres).square().sum(dim=(1, 2)) <= tolerance
    # the one time an iteration waits for the device
    stops, empty = torch.stack((settled | near, (counts == 0).any(dim=1))).tolist()
    for start in np.flatnonzero(empty):
        moved[start] = _fill_empty(data.rows, labels[:, start], centres[start], sums[start], counts[start])
        shift = (moved[start] - centres[start]).square().sum()
        stops[start] = bool(settled[start] | (shift <= tolerance))
    return moved, stops


def _add_up(data: _Centred, members: Tensor) -> Tensor:
    """[r, k, d] sums of each cluster's rows."""
    if members.shape[1] > 2:
        return torch.unflatten(torch.mm(members.flatten(0, 1), data.rows), 0, members.shape[:2])
    # Loses no digits: the total being next to nothing, both sums are of one size. With more clusters one may be small.
    first = members[:, 0].contiguous() @ data.rows
    return torch.stack((first, data.total - first), dim=1)


def _fill_empty(rows: Tensor, labels: Tensor, centres: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
    """[k, d] means where a cluster has no rows: it takes the row that is farthest from its own centre, as in scikit-learn.

    Where all rows lie on their centres (fewer different rows than clusters) it takes the place of the largest cluster.
    """
    distances = (rows - centres[labels]).square().sum(dim=1).cpu().numpy()
    empty = torch.nonzero(counts == 0).flatten().tolist()
    if distances.max() > 0:
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1].tolist()
        for cluster, row in zip(empty, farthest, strict=True):
            sums[labels[row]] -= rows[row]
            counts[labels[row]] -= 1
            sums[cluster], counts[cluster] = rows[row], 1
    largest = counts.argmax()
    return torch.where(counts.unsqueeze(1) > 0, sums / counts.unsqueeze(1), sums[largest] / counts[largest])


def _is_same_clustering(labels: NDArray[np.int64], others: NDArray[np.int64], k: int) -> bool:
    """Does the first tell the second, whatever the numbers?"""
    return len(np.unique(labels * k + others)) == len(np.unique(labels))
