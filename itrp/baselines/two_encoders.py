"""The supervised counterparts of ITRp: a text encoder and an image encoder, concatenated, one linear layer.

BERT+ResNet (the encoders of ITRp itself) and RoBERTa+EfficientNet-B4 (768 + 1792) of Sun et al. 2023, section 4.2:
logits = W [t; v] + b with t the mean of the last hidden states over the real tokens and v the pooled feature map.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itrp.baselines.config import TwoEncodersConfig
from itrp.baselines.network import Batch, Heads, Inputs, Network
from itrp.data.inputs import Rows, ShardFile, cache_pixels, read_texts
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.image_encoder import ImageEncoder, build_image_encoder, load_image_encoder
from itrp.models.text_encoder import TextEncoder, build_text_encoder, load_text_encoder

TEXT_FOLDER = "text"


class TwoEncoders(Network):
    """logits = heads([text vector; image vector])."""

    def __init__(self, tasks: Sequence[Task], text: TextEncoder, image: ImageEncoder) -> None:
        super().__init__(tasks)
        self.text = text
        self.image = image
        self.heads = Heads(tasks, text.width + image.width)

    def read(self, shards: Sequence[ShardFile], cache: EmbeddingCache) -> Inputs:
        """tokens: one ragged row a pair; pixels: [n, size, size, 3] uint8."""
        form = self.image.config.pixels
        return {
            "tokens": [row for shard in shards for row in self.text.tokenize(read_texts(shard))],
            "pixels": Rows([cache_pixels(shard, form, cache.folder) for shard in shards]),
        }

    def collate(self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device) -> Batch:
        """input_ids, attention_mask [b, t], pixels [b, size, size, 3] uint8."""
        input_ids, mask = self.text.collate([inputs["tokens"][row] for row in rows], device)
        pixels = torch.from_numpy(inputs["pixels"].take(rows)).to(device)
        return {"input_ids": input_ids, "attention_mask": mask, "pixels": pixels}

    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each task."""
        text = self.text(batch["input_ids"], batch["attention_mask"])
        logits: dict[Task, Tensor] = self.heads(torch.cat((text, self.image(batch["pixels"])), dim=1))
        return logits

    def save(self, folder: Path) -> None:
        """The text encoder's architecture and tokenizer; the image's is known by its name."""
        self.text.save(folder / TEXT_FOLDER)


def load_two_encoders(config: TwoEncodersConfig, tasks: Sequence[Task]) -> TwoEncoders:
    """With pretrained encoders. Raises WeightsUnavailableError."""
    return TwoEncoders(tasks, load_text_encoder(config.text), load_image_encoder(config.image))


def build_two_encoders(config: TwoEncodersConfig, tasks: Sequence[Task], folder: Path) -> TwoEncoders:
    """What `TwoEncoders.save` described, with weights still to be loaded."""
    return TwoEncoders(tasks, build_text_encoder(config.text, folder / TEXT_FOLDER), build_image_encoder(config.image))
