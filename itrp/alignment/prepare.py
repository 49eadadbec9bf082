"""Stage 1: frozen features to vectors whose products mean something (docs/alignment.md).

t = L2(zscore(T)); i = L2(P zscore(sqrt(max(I, 0)))), P the first principal directions, each divided by the fourth root of its
eigenvalue: half way between leaving the variances as they are and whitening them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 4096
"""Rows in memory at a time. Sums are taken block by block in this size whatever the shards' are: equal pairs, equal numbers."""
SMALLEST_DEVIATION = 1e-6
"""A feature that hardly changes says nothing, and is left at its size."""

TakeRows = Callable[[NDArray[np.int64]], NDArray[np.floating]]
"""Row numbers [m] -> their vectors [m, d]: `array.__getitem__`, or `itrp.data.inputs.Rows.take` for those of many shards."""


def iter_blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The rows, BLOCK at a time."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def take_tensor(take: TakeRows, rows: NDArray[np.int64], device: torch.device) -> Tensor:
    """[m, d] float32 on a device."""
    return torch.from_numpy(np.ascontiguousarray(take(rows), dtype=np.float32)).to(device)


@dataclass(frozen=True, eq=False)
class Preparation:
    """Statistics of the training pairs; float32 tensors on one device."""

    text_mean: Tensor
    """[dt]"""
    text_scale: Tensor
    """[dt] standard deviations."""
    image_mean: Tensor
    """[di] of the features' square roots."""
    image_scale: Tensor
    """[di]"""
    image_directions: Tensor
    """[di, p] principal directions, each divided by the fourth root of its eigenvalue."""

    def texts(self, vectors: Tensor) -> Tensor:
        """[n, dt] -> [n, dt], of length 1."""
        return torch.nn.functional.normalize((vectors - self.text_mean) / self.text_scale, dim=1)

    def images(self, vectors: Tensor) -> Tensor:
        """[n, di] -> [n, p], of length 1."""
        standard = (vectors.clamp(min=0).sqrt() - self.image_mean) / self.image_scale
        return torch.nn.functional.normalize(standard @ self.image_directions, dim=1)


def fit_preparation(
    texts: TakeRows, images: TakeRows, rows: NDArray[np.int64], *, directions: int, device: torch.device
) -> Preparation:
    """From the frozen features of the training pairs `rows`; no matter which text belongs to which image."""
    text_mean, text_scale, _ = _moments(lambda block: take_tensor(texts, block, device), rows, scatter=False)
    image_mean, image_scale, covariance = _moments(
        lambda block: take_tensor(images, block, device).clamp(min=0).sqrt(), rows, scatter=True
    )
    assert covariance is not None
    correlation = covariance / torch.outer(image_scale, image_scale)
    values, vectors = torch.linalg.eigh(correlation)
    # no more directions than the pairs can tell apart
    kept = min(directions, len(values), max(1, len(rows) - 1))
    values, vectors = values.flip(0)[:kept].clamp(min=1e-8), vectors.flip(1)[:, :kept]
    return Preparation(
        text_mean.float(),
        text_scale.float(),
        image_mean.float(),
        image_scale.float(),
        (_fix_signs(vectors) / values.pow(0.25)).float(),
    )


def _fix_signs(vectors: Tensor) -> Tensor:
    """[d, k] with the largest entry of each column positive: an eigenvector's sign is the library's whim."""
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return vectors * largest.sign()


def _moments(
    block_of: Callable[[NDArray[np.int64]], Tensor], rows: NDArray[np.int64], *, scatter: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mean [d], standard deviation [d] and, where asked for, covariance [d, d], float64, of what `block_of` gives.

    Everything is taken from the first block's mean: a sum of squares about zero would lose digits.
    """
    first = block_of(rows[:BLOCK])
    origin = first.double().mean(dim=0)
    total = torch.zeros_like(origin)
    squares = (
        torch.zeros(len(origin), len(origin), dtype=torch.float64, device=origin.device) if scatter else total.clone()
    )
    for block in iter_blocks(rows):
        centred = block_of(block) - origin.float()
        total += centred.double().sum(dim=0)
        squares += (centred.T @ centred).double() if scatter else centred.double().square().sum(dim=0)
    # the origin was rounded to float32 when it was taken off
    mean = total / len(rows)
    covariance = squares / len(rows) - (torch.outer(mean, mean) if scatter else mean.square())
    variance = covariance.diagonal() if scatter else covariance
    deviation = variance.clamp(min=0).sqrt()
    deviation = torch.where(deviation < SMALLEST_DEVIATION, torch.ones_like(deviation), deviation)
    return origin.float().double() + mean, deviation, covariance if scatter else None
