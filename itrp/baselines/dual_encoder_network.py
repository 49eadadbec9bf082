"""What the supervised CLIP systems have in common: how a dual encoder reads the project's pairs.

Texts as the checkpoint was trained (see `itrp.models.dual_encoder`). Images as every other system here sees them, the whole
image resized without a crop, at the checkpoint's own size and with its own mean and deviation.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from itrp.baselines.network import Batch, Inputs, Network
from itrp.data.inputs import Rows, ShardFile, cache_pixels, read_texts
from itrp.errors import WeightsUnavailableError
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.dual_encoder import ENCODER_FOLDER, DualEncoder, build_dual_encoder
from itrp.models.text_encoder import pad_rows
from itrp.pixel_format import PixelFormat


class DualEncoderNetwork(Network):
    """A network on top of a dual encoder, all of whose parameters it fine-tunes."""

    mean: Tensor
    std: Tensor

    def __init__(self, tasks: Sequence[Task], encoder: DualEncoder) -> None:
        super().__init__(tasks)
        self.encoder = encoder
        self.form = PixelFormat(_find_image_size(encoder))
        processor = encoder.image_processor
        mean = getattr(processor, "image_mean", None) or OPENAI_CLIP_MEAN
        std = getattr(processor, "image_std", None) or OPENAI_CLIP_STD
        # not persistent: the checkpoint's preprocessing is saved beside the weights
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def read(self, shards: Sequence[ShardFile], cache: EmbeddingCache) -> Inputs:
        """tokens: one row a pair, ragged but for SigLIP's; pixels: [n, size, size, 3] uint8."""
        return {
            "tokens": [row for shard in shards for row in tokenize_rows(self.encoder, read_texts(shard))],
            "pixels": Rows([cache_pixels(shard, self.form, cache.folder) for shard in shards]),
        }

    def collate(self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device) -> Batch:
        """input_ids [b, t], pixels [b, size, size, 3] uint8 and, but for SigLIP, attention_mask [b, t]."""
        tokens = [inputs["tokens"][row] for row in rows]
        input_ids, mask = pad_rows(tokens, self.encoder.tokenizer.pad_token_id or 0, device)
        batch = {"input_ids": input_ids, "pixels": torch.from_numpy(inputs["pixels"].take(rows)).to(device)}
        return batch if self.encoder.is_siglip else {**batch, "attention_mask": mask}

    def text_inputs(self, batch: Batch) -> Batch:
        """Those of a batch that the text tower takes."""
        return {name: tensor for name, tensor in batch.items() if name != "pixels"}

    def image_inputs(self, batch: Batch) -> Batch:
        """pixel_values [b, 3, size, size] float32 of a batch, as the image tower takes them."""
        return {"pixel_values": (batch["pixels"].permute(0, 3, 1, 2).float() - self.mean) / self.std}

    def save(self, folder: Path) -> None:
        """The encoder's architecture, tokenizer and preprocessing of images."""
        self.encoder.save(folder / ENCODER_FOLDER)


def tokenize_rows(encoder: DualEncoder, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Token numbers of each text without padding, cut at the model's maximum length; SigLIP's with its padding."""
    rows = encoder.tokenize(texts)
    numbers = rows["input_ids"].numpy()
    real = rows["attention_mask"].numpy() > 0 if "attention_mask" in rows else np.ones_like(numbers, dtype=bool)
    return [row[kept] for row, kept in zip(numbers, real, strict=True)]


def build_encoder(folder: Path) -> DualEncoder:
    """The encoder that `DualEncoderNetwork.save` described, with weights still to be loaded."""
    return build_dual_encoder(folder / ENCODER_FOLDER)


def _find_image_size(encoder: DualEncoder) -> int:
    size = getattr(encoder.model.config.vision_config, "image_size", None)
    if isinstance(size, int):
        return size
    raise WeightsUnavailableError(
        f"expected a CLIP or SigLIP model with square images of one size, found a {type(encoder.model).__name__} whose "
        f"image_size is {size}; choose a checkpoint whose name has a resolution, such as google/siglip2-base-patch16-224"
    )
