"""Tweets of coloured shapes in the layout of Twitter100k: what small encoders can align from a few hundred pairs."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (210, 30, 40), "green": (30, 160, 60), "blue": (30, 70, 210), "yellow": (240, 220, 40), "black": (15, 15, 15),
    "white": (245, 245, 245), "orange": (245, 140, 20), "purple": (130, 40, 160), "pink": (250, 150, 190), "brown": (110, 70, 35),
}  # fmt: skip
TEMPLATES = (
    "a {} wall", "everything is {} today", "my new {} car", "look at this {} dress", "{} is the colour", "so much {} here",
    "painted it {}", "a {} sign on the road", "the {} door of our house", "nothing but {}",
)  # fmt: skip


def write_coloured_pairs(folder: Path, n: int, seed: int, *, matching: float = 1.0) -> list[bool]:
    """n pairs of a text about a colour and an image of one colour; the same one in the share `matching` of them. Whose is."""
    rng, names = np.random.default_rng(seed), list(COLOURS)
    (folder / "images").mkdir(parents=True)
    lines, truth = [], []
    for number in range(1, n + 1):
        own, other = rng.choice(names, 2, replace=False)
        match = bool(rng.random() < matching)
        lines.append(f"{rng.choice(TEMPLATES).format(own)} {number}")
        _draw(COLOURS[own if match else other], rng).save(folder / "images" / f"{number}.jpg", quality=90)
        truth.append(match)
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    return truth


def _draw(colour: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    """64 x 64: the colour, somewhat off, with a grey shape somewhere, so that no two images are equal."""
    shade = tuple(int(np.clip(part + rng.normal(0, 12), 0, 255)) for part in colour)
    image = Image.new("RGB", (64, 64), shade)
    left, top = rng.integers(0, 40, 2).tolist()
    ImageDraw.Draw(image).ellipse((left, top, left + 14, top + 14), fill=(128, 128, 128))
    return image
