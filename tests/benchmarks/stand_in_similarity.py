"""A stand-in for CLIP where no pretrained one can be had: two linear projections of frozen encoders, trained contrastively.

It learns from synthetic tweets whose text is represented in the picture, which is what captions on the web are to CLIP, and
it never sees the tweets it is asked about. It says how well mapping by similarity works with a similarity of that strength,
and nothing about any real CLIP.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from tests.benchmarks.trained_clusters import JOINT_SEED, LabelledTweets, draw_labelled, frozen_vectors

TRAINING_PAIRS = 2000
"""Synthetic tweets drawn; those whose text is represented are trained on."""
WIDTH, STEPS, BATCH, TEMPERATURE = 64, 400, 128, 0.07


def similarity_of(work: Path, tweets: LabelledTweets) -> NDArray[np.float32]:
    """[n] cosines of texts and pictures by the stand-in."""
    training = draw_labelled(work, JOINT_SEED, TRAINING_PAIRS)
    text, image = map(torch.from_numpy, frozen_vectors(work, training.shards))
    represented = torch.from_numpy(np.flatnonzero(training.text == 1))
    project = _train_projections(text[represented], image[represented])
    with torch.inference_mode():
        own = frozen_vectors(work, tweets.shards)
        towers = (project(torch.from_numpy(vectors), side) for side, vectors in enumerate(own))
        return nn.functional.cosine_similarity(*towers).numpy()


class _Projections(nn.Module):
    """Both sides standardised, projected to one width."""

    def __init__(self, text: Tensor, image: Tensor) -> None:
        super().__init__()
        self.statistics = [(side.mean(dim=0), side.std(dim=0) + 1e-6) for side in (text, image)]
        self.towers = nn.ModuleList(nn.Linear(side.shape[1], WIDTH) for side in (text, image))

    def forward(self, vectors: Tensor, side: int) -> Tensor:
        mean, deviation = self.statistics[side]
        projected: Tensor = self.towers[side]((vectors - mean) / deviation)
        return projected


def _train_projections(text: Tensor, image: Tensor) -> _Projections:
    """InfoNCE over batches of matching pairs: [n, d_text] and [n, d_image] frozen vectors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        project = _Projections(text, image)
        optimizer = torch.optim.AdamW(project.parameters(), lr=1e-3, weight_decay=0.5)
        for _ in range(STEPS):
            rows = torch.randperm(len(text))[:BATCH]
            sides = (project(text[rows], 0), project(image[rows], 1))
            a, b = (nn.functional.normalize(nn.functional.dropout(side, 0.2), dim=1) for side in sides)
            logits, target = a @ b.T / TEMPERATURE, torch.arange(len(rows))
            loss = nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return project.eval()


def weaken(
    cosines: NDArray[np.floating], relations: NDArray[np.integer], draws: int, left: float = 0.5
) -> NDArray[np.float64]:
    """[draws, n] cosines with so much noise added that, on average, the share `left` of their Spearman correlation with the
    relations is left.
    """
    target = left * float(spearmanr(cosines, relations).statistic)
    clean = (cosines - cosines.mean()) / cosines.std()
    noise = np.random.default_rng(0).normal(size=(draws, len(clean)))
    low, high = 0.0, 100.0
    for _ in range(30):
        middle = (low + high) / 2
        reached = np.mean([spearmanr(clean + middle * row, relations).statistic for row in noise[:50]])
        low, high = (middle, high) if reached > target else (low, middle)
    return clean + high * noise
