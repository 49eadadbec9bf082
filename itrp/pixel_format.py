"""Which pixels an image encoder reads: their number, and who makes them of an image's bytes."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Decoder: TypeAlias = Literal["pillow", "torchvision"]
"""Pillow's pixels are those of the reference code. torchvision's libjpeg and torch's antialiased resize of JPEGs are quicker,
and one pixel in some hundred differs by 1 of 255."""


@dataclass(frozen=True, order=True)
class PixelFormat:
    """[size, size, 3] uint8 RGB. Pixels of different formats are never mixed: a model is scored on those it was trained on."""

    size: int
    decoder: Decoder = "pillow"

    @property
    def name(self) -> str:
        """Names pixels in caches."""
        return f"pixels-{self.size}" if self.decoder == "pillow" else f"pixels-{self.size}-{self.decoder}"
