"""CLIP, supervised: the embeddings of a dual encoder side by side, one linear layer a task, everything fine-tuned.

Radford et al. 2021 (CLIP) or Zhai et al. 2023 (SigLIP), as a classifier of Sun et al. 2023, section 4.2:
logits = W [t / |t|; v / |v|] + b with t and v the text's and the image's projected vectors. They have length 1, as both
were trained to be compared; with `normalise=false` they are taken as the projections give them.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from itrp.baselines.config import ClipConfig
from itrp.baselines.dual_encoder_network import DualEncoderNetwork, build_encoder
from itrp.baselines.network import Batch, Heads
from itrp.labels import Task
from itrp.models.dual_encoder import DualEncoder, load_dual_encoder


class ClipNetwork(DualEncoderNetwork):
    """logits = heads([text embedding; image embedding])."""

    def __init__(self, tasks: Sequence[Task], encoder: DualEncoder, normalise: bool) -> None:
        super().__init__(tasks, encoder)
        self.normalise = normalise
        self.heads = Heads(tasks, 2 * encoder.width)

    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each task."""
        text = self.encoder.encode_texts(self.text_inputs(batch)).float()  # (B, D)
        image = self.encoder.encode_images(self.image_inputs(batch)).float()  # (B, D)
        if self.normalise:
            text, image = nn.functional.normalize(text, dim=1), nn.functional.normalize(image, dim=1)
        logits: dict[Task, Tensor] = self.heads(torch.cat((text, image), dim=1))
        return logits


def load_clip(config: ClipConfig, tasks: Sequence[Task]) -> ClipNetwork:
    """With a pretrained encoder. Raises WeightsUnavailableError."""
    return ClipNetwork(tasks, load_dual_encoder(config.name), config.normalise)


def build_clip(config: ClipConfig, tasks: Sequence[Task], folder: Path) -> ClipNetwork:
    """What `ClipNetwork.save` described, with weights still to be loaded."""
    return ClipNetwork(tasks, build_encoder(folder), config.normalise)
