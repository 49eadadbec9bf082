"""What a camera and an upload do to an image: uneven light, blur, grain, and the file format."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from itrp.datasets.synthetic.dice import Dice

_BANK_SIDE = 768
_LEVELS = (4, 8, 13)
"""Grain, as the standard deviation in grey levels."""


@lru_cache(maxsize=len(_LEVELS))
def _load_grain(level: int) -> Image.Image:
    """Grain around mid grey, made once: cutting a window of it is far cheaper than making new grain."""
    rng = np.random.Generator(np.random.PCG64(level))
    grain = rng.normal(128, level, size=(_BANK_SIDE, _BANK_SIDE, 3)) + rng.normal(
        0, level / 2, size=(_BANK_SIDE, _BANK_SIDE, 1)
    )
    return Image.fromarray(np.clip(np.rint(grain), 0, 255).astype(np.uint8))


def photograph(image: Image.Image, dice: Dice) -> Image.Image:
    """The image as if photographed: uneven light, sometimes out of focus, always a little grain."""
    light = Image.new("L", (4, 4))
    light.putdata([128 + dice.whole(-26, 26) for _ in range(16)])
    lit = light.resize(image.size, Image.Resampling.BICUBIC)
    image = ImageChops.add(image, Image.merge("RGB", (lit, lit, lit)), 1, -128)
    if dice.chance(0.75):
        # one box, not a Gaussian: the eye sees no difference at this size, and it is three times faster
        image = image.filter(ImageFilter.BoxBlur(dice.between(0.5, 1.2)))
    return add_grain(image, dice, dice.pick(_LEVELS))


def add_grain(image: Image.Image, dice: Dice, level: int = _LEVELS[0]) -> Image.Image:
    """The image with grain of one of the known levels."""
    left, top = dice.whole(0, _BANK_SIDE - image.width), dice.whole(0, _BANK_SIDE - image.height)
    window = _load_grain(level).crop((left, top, left + image.width, top + image.height))
    return ImageChops.add(image, window, 1, -128)


def encode_image(image: Image.Image, dice: Dice, graphic: bool, jpeg_only: bool) -> tuple[bytes, str]:
    """The file's bytes and its suffix: mostly JPEG, graphics often PNG, some with palette or transparency."""
    kind = dice.weighted(
        {"jpg": 0.72, "png": 0.2, "webp": 0.08} if graphic else {"jpg": 0.93, "png": 0.02, "webp": 0.05}
    )
    quality, variant, bright = dice.whole(70, 90), dice.between(0, 1), dice.whole(200, 255)
    sink = io.BytesIO()
    if kind == "jpg" or jpeg_only:
        image.save(sink, "JPEG", quality=quality)
        return sink.getvalue(), ".jpg"
    if kind == "webp":
        image.save(sink, "WEBP", quality=quality, method=0)
        return sink.getvalue(), ".webp"
    if variant < 0.5:
        image = image.quantize(64, method=Image.Quantize.FASTOCTREE)
    elif variant < 0.75:
        # a corner that fades out, as in exported graphics
        image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: min(255, bright + value // 2)))
    image.save(sink, "PNG", compress_level=1)
    return sink.getvalue(), ".png"
