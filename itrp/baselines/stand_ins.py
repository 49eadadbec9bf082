"""Stand-ins for pretrained checkpoints: small models of the same classes with random weights, saved as real ones are.

For `itrp reproduce --preset small`, which runs every system where nothing can be downloaded. They know nothing, and
read real words (MiniLM's tokenizer, whose package is always there) but for the vision-language model, which reads bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch import nn
from torchvision.models import get_model
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    LxmertConfig,
    LxmertModel,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from itrp.models.text_encoder import find_text_weights

_TOWER: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}

DETECTOR, DETECTOR_SIZE = "fasterrcnn_mobilenet_v3_large_320_fpn", 96
"""torchvision's quickest Faster R-CNN, and the shortest side it sees images at: a tenth of a second each on one core."""
_WORD_WIDTH = 50

_VLM_TOKENS = ("<pad>", "<s>", "</s>", "<image>")
_VLM_CHAT = (
    "{% for m in messages %}{{ m['role'] }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
_VLM_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_clip(folder: Path, seed: int) -> Path:
    """A CLIP of width 64 for images of 64 x 64 in patches of 16 x 16, as CLIPModel and CLIPProcessor save themselves.

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


def write_lxmert(folder: Path, seed: int) -> Path:
    """An LXMERT of width 64 for regions with 256 features, two layers in each of its encoders, as LxmertModel saves itself.

    `folder` is made where it is missing, and returned. The same seed gives the same weights.
    """
    tokenizer = _load_tokenizer()
    layers: dict[str, Any] = {"l_layers": 2, "r_layers": 2, "x_layers": 2}
    sizes = {name: _TOWER[name] for name in ("hidden_size", "intermediate_size", "num_attention_heads")}
    config = LxmertConfig(**sizes, **layers, vocab_size=len(tokenizer), visual_feat_dim=256)
    _save_random(LxmertModel, config, folder, seed)
    tokenizer.save_pretrained(folder)
    return folder


def write_word_vectors(folder: Path, words: Sequence[str], seed: int) -> Path:
    """Random vectors of width 50 for the given words in GloVe's text format. Returns the file, `folder`/vectors.txt.

    `folder` is made where it is missing. The same seed and words give the same vectors.
    """
    vectors = np.random.default_rng(seed).normal(scale=0.5, size=(len(words), _WORD_WIDTH))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vectors.txt"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{value:.5f}' for value in vector)}\n")
    return path


def write_detector(folder: Path, seed: int) -> Path:
    """Random weights of DETECTOR. Returns the file, `folder`/detector.safetensors.

    `folder` is made where it is missing. The same seed gives the same weights. Drawn at random, its scores would all be
    equal and its features the same for every image: batch norm statistics are measured on random images, and the
    weights of the scores are large enough for it to be sure of something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model: Any = get_model(DETECTOR, weights=None, weights_backbone=None)
        measure_batch_norms(model.backbone, DETECTOR_SIZE)
        model.roi_heads.box_predictor.cls_score.weight.mul_(200)
    save_file(model.state_dict(), folder / "detector.safetensors")
    return folder / "detector.safetensors"


def write_vlm(folder: Path, seed: int) -> Path:
    """A LLaVA (CLIP and Llama of width 32) over bytes and images of 32 x 32, as it saves itself with its processor.

    `folder` is made where it is missing, and returned. The same seed gives the same weights.
    """
    tokenizer = _make_byte_tokenizer()
    vision = {**_VLM_TOWER, "model_type": "clip_vision_model", "image_size": 32, "patch_size": 8}
    text = {**_VLM_TOWER, "model_type": "llama", "vocab_size": len(tokenizer), "max_position_embeddings": 8192}
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=_VLM_TOKENS.index("<image>"))
    _save_random(LlavaForConditionalGeneration, config, folder, seed)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=_VLM_CHAT,
        image_token="<image>",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


def measure_batch_norms(model: nn.Module, size: int, images: torch.Tensor | None = None) -> None:
    """Batch norm statistics as training would have left them, on 8 images of large random fields, size x size.

    images: [n, 3, size, size] normalised ones to take instead, where the residuals of a deep network add up to
    numbers of thousands on any others. Without statistics a random convolutional network of some depth answers the same
    whatever it sees.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean of all batches: of this one
    if images is None:
        images = nn.functional.interpolate(torch.randn(8, 3, 6, 6), size=size)
    with torch.no_grad():
        model.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _load_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(find_text_weights("minilm"), local_files_only=True, trust_remote_code=False)


def _save_random(model_class: Any, config: PreTrainedConfig, folder: Path, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model_class(config).save_pretrained(folder)


def _make_byte_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes as tokens, the four answers with their space as one token each, <s> before every text."""
    merges = [("Ġ", letter) for letter in "ABCD"]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({piece: place for place, piece in enumerate([*_VLM_TOKENS, *pieces])}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _VLM_TOKENS])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
