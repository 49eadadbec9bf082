"""CMA-CLIP: attention between CLIP's tokens and patches, then between the two modalities, for each task its own.

Liu, Xu, Fu et al., "CMA-CLIP: Cross-Modality Attention CLIP for Image-Text Classification", 2021 (arXiv 2112.03562; Fu et
al., ICIP 2022), the way Sun et al. 2023, section 4.2, trains it: on both tasks at once. No code was published. With
T [t, d] and P [1 + p, d] the tokens and patches in CLIP's joint space and m_T, m_P the modality embeddings:

    S = encoder(norm([P + m_P; T + m_T]))                   sequence-wise attention over all real places
    v = S at the image's class token, u = S at the text's end token
    (a_u, a_v) = softmax(w_u . u, w_v . v)                  modality-wise attention, w_u and w_v of the task
    logits = MLP(a_u u + a_v v)                             the task's own
What the descriptions leave open, and how it was decided here: docs/decisions.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from itrp.baselines.config import CmaClipConfig
from itrp.baselines.dual_encoder_network import DualEncoderNetwork, build_encoder
from itrp.baselines.network import Batch
from itrp.errors import WeightsUnavailableError, WrongUseError
from itrp.labels import CLASS_NAMES, Task
from itrp.models.dual_encoder import DualEncoder, load_dual_encoder


class ModalityAttention(nn.Module):
    """One task's softmax over the modalities, from a learned scoring vector each (keyless attention)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # zeros: both modalities begin with the weight 1/2
        self.scores = nn.Parameter(torch.zeros(2, width))

    def weigh(self, vectors: Tensor) -> Tensor:
        """[b, 2, d] pooled text and image vectors -> their weights [b, 2], which sum to 1."""
        return torch.softmax((vectors * self.scores).sum(dim=2), dim=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """[b, 2, d] -> the weighted sum [b, d]."""
        return (self.weigh(vectors).unsqueeze(2) * vectors).sum(dim=1)


class CmaClipNetwork(DualEncoderNetwork):
    """Sequence-wise attention shared by all tasks; modality-wise attention and an MLP for each."""

    def __init__(self, config: CmaClipConfig, tasks: Sequence[Task], encoder: DualEncoder) -> None:
        _check_encoder(config, encoder)
        super().__init__(tasks, encoder)
        width = encoder.width
        self.modalities = nn.Parameter(torch.randn(2, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([_make_layer(config, width) for _ in range(config.layers)])
        self.last_norm = nn.LayerNorm(width)
        self.attention = nn.ModuleDict({str(task): ModalityAttention(width) for task in tasks})
        self.mlps = nn.ModuleDict({str(task): _make_mlp(config, width, task) for task in tasks})

    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each task."""
        vectors = self.pool(batch)
        return {task: self.mlps[str(task)](self._attention(task)(vectors)) for task in self.tasks}

    def _attention(self, task: Task) -> ModalityAttention:
        return cast(ModalityAttention, self.attention[str(task)])

    def pool(self, batch: Batch) -> Tensor:
        """[b, 2, d]: the text's and the image's vector after sequence-wise attention."""
        patches, tokens = self._encode_patches(batch), self._encode_tokens(batch)  # (B, 1 + P, D), (B, T, D)
        states = self.norm(torch.cat((patches + self.modalities[1], tokens + self.modalities[0]), dim=1))
        mask = batch["attention_mask"]
        padding = torch.cat((mask.new_zeros(patches.shape[:2]), 1 - mask), dim=1).bool()  # (B, 1 + P + T)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=padding)
        # rows are padded at the right, so the end token is the last real one
        end = patches.shape[1] + mask.sum(dim=1) - 1
        text = states[torch.arange(len(states), device=states.device), end]
        pooled: Tensor = self.last_norm(torch.stack((text, states[:, 0]), dim=1))
        return pooled

    def _encode_tokens(self, batch: Batch) -> Tensor:
        model = self.encoder.model
        tokens: Tensor = model.text_projection(model.text_model(**self.text_inputs(batch)).last_hidden_state)
        return tokens

    def _encode_patches(self, batch: Batch) -> Tensor:
        """CLIP normalises and projects the class token only; the patches go the same way here."""
        model = self.encoder.model
        states = model.vision_model(**self.image_inputs(batch)).last_hidden_state
        patches: Tensor = model.visual_projection(model.vision_model.post_layernorm(states))
        return patches


def load_cma_clip(config: CmaClipConfig, tasks: Sequence[Task]) -> CmaClipNetwork:
    """With a pretrained CLIP. Raises WeightsUnavailableError, and WrongUseError for heads that do not divide its width."""
    return CmaClipNetwork(config, tasks, load_dual_encoder(config.name))


def build_cma_clip(config: CmaClipConfig, tasks: Sequence[Task], folder: Path) -> CmaClipNetwork:
    """What `CmaClipNetwork.save` described, with weights still to be loaded."""
    return CmaClipNetwork(config, tasks, build_encoder(folder))


def _check_encoder(config: CmaClipConfig, encoder: DualEncoder) -> None:
    if encoder.model.config.model_type != "clip":
        raise WeightsUnavailableError(
            f"CMA-CLIP reads CLIP's token and patch sequences: expected a CLIPModel, found {config.name!r}, a "
            f"{type(encoder.model).__name__}; give the hub id or folder of a CLIP, or train the system clip on this one"
        )
    if encoder.width % config.heads:
        raise WrongUseError(
            f"network.heads: expected a divisor of the encoder's width {encoder.width}, found {config.heads}"
        )


def _make_layer(config: CmaClipConfig, width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, config.heads, 4 * width, config.dropout, activation="gelu", batch_first=True, norm_first=True
    )


def _make_mlp(config: CmaClipConfig, width: int, task: Task) -> nn.Module:
    hidden = nn.Linear(width, width)
    return nn.Sequential(hidden, nn.GELU(), nn.Dropout(config.dropout), nn.Linear(width, len(CLASS_NAMES[task])))
