"""Stages 3 to 5 for vectors that can be compared as they are, a dual encoder's: no preparation, no projection, no folds.

Nothing is learned about which text belongs to which image, so that nothing has to be held out. CLIP's and SigLIP's cosines are
not comparable from pair to pair (some texts, and some images, are close to everything): the score is how much better a pair fits
than chance pairs of the same collection.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itrp.alignment.config import MatchingConfig
from itrp.alignment.decide import Decision, decide
from itrp.alignment.fit import PairFeatures
from itrp.alignment.folds import draw_partners, find_enough_groups
from itrp.alignment.gate import area
from itrp.alignment.prepare import iter_blocks, take_tensor
from itrp.alignment.score import Partners, score_pairs
from itrp.alignment.share import estimate_share
from itrp.progress import Progress, ignore_progress


@dataclass(frozen=True, eq=False)
class ComparedVectors:
    """What pairs look like against chance, by their vectors as they are."""

    partners: Partners
    """Pairs of the collection that every pair was compared with."""
    true: NDArray[np.float64]
    """z [n] of the pairs."""
    shuffled: NDArray[np.float64]
    """z [m] of their texts with another image, m <= n."""
    share: float
    """Estimated share of the pairs that match."""
    decision: Decision
    area: float
    """Of true against shuffled pairs."""

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """None: more pairs would change nothing that is learned."""
        return ()


def compare_vectors(
    pairs: PairFeatures,
    config: MatchingConfig,
    *,
    seed: int,
    device: torch.device,
    progress: Progress = ignore_progress,
) -> ComparedVectors:
    """texts and images of the pairs: vectors of one space, [n, d] each, of any length. Raises DataError for too few pairs."""
    groups = find_enough_groups(pairs.text_keys, pairs.image_keys)
    others = draw_partners(groups, np.zeros(len(pairs), dtype=np.uint8), seed + 1)
    chosen = np.random.default_rng(seed + 2).choice(len(pairs), min(config.partners, len(pairs)), replace=False)
    rows = np.arange(len(pairs))
    paired = others >= 0
    stage = "comparing texts and images"
    progress(stage, 0, 2)
    partners = _bring(pairs, np.sort(chosen), np.sort(chosen), device)
    true = _score(pairs, rows, rows, partners, device)
    progress(stage, 1, 2)
    shuffled = _score(pairs, rows[paired], others[paired], partners, device)
    progress(stage, 2, 2)
    share = estimate_share(true, shuffled)
    return ComparedVectors(partners, true, shuffled, share, decide(true, share, seed % 2**32), area(true, shuffled))


def normalise(vectors: Tensor) -> Tensor:
    """[n, d], of length 1."""
    return torch.nn.functional.normalize(vectors, dim=1)


def _bring(pairs: PairFeatures, texts: NDArray[np.int64], images: NDArray[np.int64], device: torch.device) -> Partners:
    """Vectors and keys of the texts in some rows and of the images in others, [m] each."""
    return Partners(
        normalise(take_tensor(pairs.texts, texts, device)),
        normalise(take_tensor(pairs.images, images, device)),
        torch.from_numpy(pairs.text_keys[texts]).to(device),
        torch.from_numpy(pairs.image_keys[images]).to(device),
    )


@torch.inference_mode()
def _score(
    pairs: PairFeatures,
    texts: NDArray[np.int64],
    images: NDArray[np.int64],
    partners: Partners,
    device: torch.device,
) -> NDArray[np.float64]:
    """z [m] of the texts in some rows with the images in others."""
    scores = np.empty(len(texts))
    for block in iter_blocks(np.arange(len(texts))):
        own = _bring(pairs, texts[block], images[block], device)
        z = score_pairs(own.texts, own.images, own.text_keys, own.image_keys, partners)
        scores[block] = z.double().cpu().numpy()
    return scores
