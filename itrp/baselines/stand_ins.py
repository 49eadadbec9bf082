"""Stand-ins for pretrained checkpoints: small models of the same classes with random weights, saved as real ones are.

For `itrp reproduce --preset small`, which runs every system where nothing can be downloaded. They read real words
(MiniLM's tokenizer, whose package is always there) and know nothing.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
)

from itrp.text_encoder import find_text_weights

_TOWER: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def write_clip(folder: Path, seed: int) -> Path:
    """A CLIP of width 64 for pictures of 64 x 64 in patches of 16 x 16, as CLIPModel and CLIPProcessor save themselves.

    `folder` is made where it is missing, and returned. The same seed gives the same weights.
    """
    tokenizer = _load_tokenizer()
    text = {
        **_TOWER,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.cls_token_id,
        # where CLIP reads its text vector off: not 2, which would mean the highest number of a row
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config=text, vision_config={**_TOWER, "image_size": 64, "patch_size": 16}, projection_dim=64
    )
    _save_random(CLIPModel, config, folder, seed)
    tokenizer.save_pretrained(folder)
    size = {"height": 64, "width": 64}
    CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=size).save_pretrained(folder)
    return folder


def write_roberta(folder: Path, seed: int) -> Path:
    """A RoBERTa of width 64 with as many places as roberta-base, as RobertaModel saves itself.

    `folder` is made where it is missing, and returned. The same seed gives the same weights.
    """
    tokenizer = _load_tokenizer()
    config = RobertaConfig(
        **_TOWER,
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    _save_random(RobertaModel, config, folder, seed)
    tokenizer.save_pretrained(folder)
    return folder


def _load_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(find_text_weights("minilm"), local_files_only=True, trust_remote_code=False)


def _save_random(model_class: Any, config: PreTrainedConfig, folder: Path, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model_class(config).save_pretrained(folder)
