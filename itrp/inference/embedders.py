"""Encoders made ready to answer on a runtime.

Training and evaluation keep to `itrp.inference.embeddings` (fp32 on the CPU).
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.inference.embeddings import fuse_encoder
from itrp.inference.openvino_encoders import compile_image, compile_text
from itrp.inference.runtimes import Runtime
from itrp.models.device import Vectors
from itrp.models.encoder_pair import fingerprint
from itrp.models.image_encoder import ImageEncoder
from itrp.models.text_encoder import TextEncoder
from itrp.pixel_format import PixelFormat

TokenRows: TypeAlias = Sequence[NDArray[np.int32]]
EmbedTexts: TypeAlias = Callable[[TokenRows], Vectors]
"""b token rows -> [b, d]."""
EmbedImages: TypeAlias = Callable[[NDArray[np.uint8]], Vectors]
"""[b, size, size, 3] -> [b, d]."""


@dataclass(frozen=True)
class TextEmbedder:
    """A text encoder ready to answer; any number of threads may call `embed`."""

    fingerprint: str
    tokenize: Callable[[Sequence[str]], list[NDArray[np.int32]]]
    embed: EmbedTexts


@dataclass(frozen=True)
class ImageEmbedder:
    """An image encoder ready to answer; any number of threads may call `embed`."""

    fingerprint: str
    pixels: PixelFormat
    embed: EmbedImages


def prepare_text(encoder: TextEncoder, runtime: Runtime, threads: int = 1) -> TextEmbedder:
    """The encoder on a runtime, for so many threads at once. The weights of the one given stay as they are."""
    name = fingerprint(encoder)
    if runtime.library == "openvino":
        return TextEmbedder(name, encoder.tokenize, compile_text(encoder, name, runtime, threads))
    quick = encoder
    if runtime.precision == "bf16":
        # what autocast would do at every call, once; sums and layer norms stay fp32: half the error of a model cast to bf16
        quick = TextEncoder(encoder.config, copy.deepcopy(encoder.transformer), encoder.tokenizer)
        for module in quick.modules():
            if isinstance(module, nn.Linear):
                module.to(torch.bfloat16)
    quick.eval().to(runtime.device)

    @torch.inference_mode()
    def embed(rows: TokenRows) -> Vectors:
        with autocast_bf16(runtime):
            return _to_vectors(quick(*quick.collate(rows, runtime.device)))

    return TextEmbedder(name, encoder.tokenize, embed)


def prepare_image(encoder: ImageEncoder, runtime: Runtime, threads: int = 1) -> ImageEmbedder:
    """The encoder on a runtime, for so many threads at once. The weights of the one given stay as they are."""
    name, form = fingerprint(encoder), encoder.config.pixels
    if runtime.library == "openvino":
        return ImageEmbedder(name, form, compile_image(encoder, name, runtime, threads))
    quick = fuse_encoder(encoder)
    if runtime.precision == "bf16":
        quick = copy.deepcopy(quick) if quick is encoder else quick
        quick.backbone = quick.backbone.to(torch.bfloat16)
    quick.eval().to(runtime.device)

    @torch.inference_mode()
    def embed(pixels: NDArray[np.uint8]) -> Vectors:
        batch = torch.from_numpy(pixels)
        if runtime.device.type == "cuda":
            batch = batch.pin_memory().to(runtime.device, non_blocking=True)
        return _to_vectors(quick(batch))

    return ImageEmbedder(name, form, embed)


def autocast_bf16(runtime: Runtime) -> AbstractContextManager[object]:
    """bf16 products where the runtime says so. Nothing is cached: a forward uses each weight once."""
    kind = runtime.device.type
    return torch.autocast(kind, torch.bfloat16, enabled=runtime.precision == "bf16", cache_enabled=False)


def _to_vectors(batch: Tensor) -> Vectors:
    return batch.float().cpu().numpy()
