"""Stage 3: how much better a pair fits than chance partners do (docs/alignment.md).

z = 1/2 [(s_ii - mean_j s_ij) / sd_j + (s_ii - mean_j s_ji) / sd_j], s = a.b, over random partners j: what is typical of this
text, or of this image, drops out.
"""

from dataclasses import dataclass

from torch import Tensor

SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False)
class Partners:
    """Held-out pairs that every pair is compared with."""

    texts: Tensor
    """b, [m, k]"""
    images: Tensor
    """a, [m, k]"""
    text_keys: Tensor
    """[m] int64 (`itrp.alignment.folds.content_keys`)."""
    image_keys: Tensor
    """[m] int64"""


def score_pairs(texts: Tensor, images: Tensor, text_keys: Tensor, image_keys: Tensor, partners: Partners) -> Tensor:
    """z [n] of texts b [n, k] and images a [n, k], row by row. A partner with the same text or the same image does not count."""
    fit = (texts * images).sum(dim=1)
    other = (text_keys[:, None] != partners.text_keys) & (image_keys[:, None] != partners.image_keys)  # (n, m)
    by_text = _standardise(fit, texts @ partners.images.T, other)
    by_image = _standardise(fit, images @ partners.texts.T, other)
    return (by_text + by_image) / 2


def _standardise(fit: Tensor, chance: Tensor, counted: Tensor) -> Tensor:
    """(fit - mean) / sd with mean and sd over the counted columns of chance [n, m]."""
    count = counted.sum(dim=1).clamp(min=1)
    mean = (chance * counted).sum(dim=1) / count
    spread = ((chance - mean[:, None]).square() * counted).sum(dim=1) / count
    return (fit - mean) / spread.sqrt().clamp(min=SMALLEST_SPREAD)
