"""Pairs made from nothing, for trying how exactly a runtime computes: words of a tokenizer's vocabulary, smooth images.

They say nothing about the world, and need not: two runtimes are compared on them, not with any truth.
"""

import io

import numpy as np
from PIL import Image
from transformers import PreTrainedTokenizerBase

from itrp.data.pairs import Pair

WORDS = 4, 25
"""Fewest and most tokens of a text."""
PATCHES = 2, 9
"""Fewest and most patches along an image's side: few are a colour gradient, many a pattern."""
SIDES = 160, 120
"""Width and height of an image in pixels."""


def make_up_pairs(tokenizer: PreTrainedTokenizerBase, count: int, seed: int) -> list[Pair]:
    """So many pairs, the same for the same tokenizer and seed."""
    random = np.random.default_rng(seed)
    special = set(tokenizer.all_special_ids)
    words = np.array([number for number in range(len(tokenizer)) if number not in special])
    return [
        Pair(str(row), _make_up_text(tokenizer, words, random), _make_up_image(random), f"{row}.jpg")
        for row in range(count)
    ]


def _make_up_text(tokenizer: PreTrainedTokenizerBase, words: np.ndarray, random: np.random.Generator) -> str:
    chosen = random.choice(words, random.integers(*WORDS, endpoint=True))
    return str(tokenizer.decode(chosen.tolist()))


def _make_up_image(random: np.random.Generator) -> bytes:
    """A JPEG of a few random colours that run into each other."""
    patches = random.integers(0, 256, (*random.integers(*PATCHES, size=2, endpoint=True), 3), dtype=np.uint8)
    image = io.BytesIO()
    Image.fromarray(patches).resize(SIDES, Image.Resampling.BICUBIC).save(image, "JPEG", quality=90)
    return image.getvalue()
