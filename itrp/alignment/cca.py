"""Stage 2: canonical correlation with shrinkage, from moments that are summed block by block (docs/alignment.md).

Hotelling, "Relations between two sets of variates", Biometrika 28, 1936; cosines of the weighted canonical vectors as a score of
how well two modalities fit: Li et al., "CSA: Data-efficient mapping of unimodal features to multimodal features", ICLR 2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itrp.alignment.prepare import Preparation, TakeRows, iter_blocks, take_tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted sums over pairs of prepared vectors t [dt] and i [p]; float64."""

    weight: Tensor
    """[]"""
    text: Tensor
    """[dt]"""
    image: Tensor
    """[p]"""
    texts: Tensor
    """[dt, dt] sum of t t'."""
    images: Tensor
    """[p, p] sum of i i'."""
    cross: Tensor
    """[p, dt] sum of i t'."""

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(*(own + others for own, others in zip(self._parts(), other._parts(), strict=True)))

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(*(own - others for own, others in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.weight, self.text, self.image, self.texts, self.images, self.cross


@dataclass(frozen=True, eq=False)
class Projection:
    """Prepared vectors into the common space; float32."""

    text_center: Tensor
    """[dt]"""
    image_center: Tensor
    """[p]"""
    text: Tensor
    """[dt, k]"""
    image: Tensor
    """[p, k]"""

    def texts(self, prepared: Tensor) -> Tensor:
        """b: [n, dt] -> [n, k] of length 1."""
        return torch.nn.functional.normalize((prepared - self.text_center) @ self.text, dim=1)

    def images(self, prepared: Tensor) -> Tensor:
        """a: [n, p] -> [n, k] of length 1."""
        return torch.nn.functional.normalize((prepared - self.image_center) @ self.image, dim=1)


def sum_moments(
    texts: TakeRows,
    images: TakeRows,
    rows: NDArray[np.int64],
    weights: NDArray[np.floating],
    preparation: Preparation,
) -> Moments:
    """Over the pairs `rows` with their weights [m]."""
    device = preparation.text_mean.device
    dt, p = len(preparation.text_mean), preparation.image_directions.shape[1]
    shapes: Sequence[tuple[int, ...]] = ((), (dt,), (p,), (dt, dt), (p, p), (p, dt))
    sums = Moments(*(torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes))
    start = 0
    for block in iter_blocks(rows):
        weight = torch.from_numpy(weights[start : start + len(block)].astype(np.float32)).to(device)
        text = preparation.texts(take_tensor(texts, block, device))
        image = preparation.images(take_tensor(images, block, device))
        heavy_text, heavy_image = text * weight[:, None], image * weight[:, None]
        parts = (
            weight.sum(),
            heavy_text.sum(dim=0),
            heavy_image.sum(dim=0),
            text.T @ heavy_text,
            image.T @ heavy_image,
            image.T @ heavy_text,
        )
        sums = sums + Moments(*(part.double() for part in parts))
        start += len(block)
    return sums


def solve_cca(moments: Moments, *, components: int, shrinkage: float) -> Projection:
    """U S V' = svd(Ci^-1/2 Cit Ct^-1/2) with C <- C + shrinkage (tr C / d) Id; a = L2(S U' Ci^-1/2 i), b = L2(S V' Ct^-1/2 t)."""
    text_center, image_center = moments.text / moments.weight, moments.image / moments.weight
    text_root = _inverse_root(moments.texts / moments.weight - torch.outer(text_center, text_center), shrinkage)
    image_root = _inverse_root(moments.images / moments.weight - torch.outer(image_center, image_center), shrinkage)
    cross = moments.cross / moments.weight - torch.outer(image_center, text_center)
    left, values, right = torch.linalg.svd(image_root @ cross @ text_root, full_matrices=False)
    kept = min(components, len(values))
    return Projection(
        text_center.float(),
        image_center.float(),
        (text_root @ right[:kept].T * values[:kept]).float(),
        (image_root @ left[:, :kept] * values[:kept]).float(),
    )


def turn_towards(projection: Projection, other: Projection) -> Projection:
    """The same projection, its dimensions turned together so that they come as close to another's as they can.

    Cosines stay what they are. Canonical vectors of nearly equal strength come in any order and mixture, so that those of two
    halves of the data mean different things by the same dimension (orthogonal Procrustes problem, Schoenemann 1966).
    """
    own, wanted = (torch.cat([each.text, each.image]).double() for each in (projection, other))
    left, _, right = torch.linalg.svd(own.T @ wanted)
    turn = (left @ right).float()
    return Projection(projection.text_center, projection.image_center, projection.text @ turn, projection.image @ turn)


def _inverse_root(covariance: Tensor, shrinkage: float) -> Tensor:
    """(C + shrinkage (tr C / d) Id)^-1/2 of a symmetric [d, d]."""
    size = len(covariance)
    ridge = shrinkage * covariance.diagonal().sum() / size
    values, vectors = torch.linalg.eigh(
        covariance + ridge * torch.eye(size, dtype=covariance.dtype, device=covariance.device)
    )
    # a covariance of nothing but equal vectors has no directions at all
    root: Tensor = vectors * values.clamp(min=1e-12).rsqrt() @ vectors.T
    return root
