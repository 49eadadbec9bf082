"""A small CLIP that has really learned which texts and images belong together: words for the colours of an image's halves."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from itrp.baselines.stand_ins import write_clip
from itrp.data.pairs import Pair
from itrp.models.dual_encoder import load_dual_encoder

COLOURS = {
    "red": (220, 30, 30), "green": (30, 160, 40), "blue": (30, 50, 220), "yellow": (240, 220, 40),
    "black": (15, 15, 15), "white": (245, 245, 245), "purple": (130, 30, 150), "orange": (250, 140, 20),
}  # fmt: skip
STEPS, BATCH = 60, 32


class Told(NamedTuple):
    """A made-up tweet, and whether its text is of its image."""

    pair: Pair
    matches: bool


def draw_pairs(count: int, seed: int, matching: float = 1.0) -> list[Told]:
    """Texts such as "red beside blue 17" and images of two halves; a share of them does not match."""
    rng = np.random.default_rng(seed)
    names = list(COLOURS)
    drawn = []
    for number in range(count):
        shown = rng.choice(len(names), 2, replace=False)
        matches = bool(rng.random() < matching)
        said = shown if matches else rng.choice(len(names), 2, replace=False)
        text = f"{names[said[0]]} beside {names[said[1]]} {number}"
        image = _paint([names[each] for each in shown], rng)
        drawn.append(Told(Pair(f"{seed}{number:06d}", text, image, f"{seed}{number:06d}.jpg"), matches))
    return drawn


def _paint(names: Sequence[str], rng: np.random.Generator) -> bytes:
    """[64, 64] pixels, the left half of one colour and the right half of the other, with grain."""
    pixels = np.repeat(np.array([COLOURS[name] for name in names], dtype=np.float64), 32, axis=0)
    grain = rng.normal(scale=12, size=(64, 64, 3))
    file = io.BytesIO()
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_matching_clip(folder: Path) -> Path:
    """The stand-in CLIP after a few seconds of contrastive training (Radford et al. 2021), saved as `write_clip` saves it."""
    encoder = load_dual_encoder(str(write_clip(folder, 1)))
    pairs = [told.pair for told in draw_pairs(320, seed=99)]
    tokens = encoder.tokenize([pair.text for pair in pairs])
    pixels = encoder.preprocess([pair.image for pair in pairs])
    optimizer = torch.optim.Adam(encoder.model.parameters(), lr=2e-3)
    rng = np.random.default_rng(0)
    encoder.model.train()
    for _ in range(STEPS):
        rows = torch.from_numpy(rng.choice(len(pairs), BATCH, replace=False))
        batch = {name: tensor[rows] for name, tensor in {**tokens, **pixels}.items()}
        loss = encoder.model(**batch, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.model.eval().save_pretrained(folder)
    return folder
