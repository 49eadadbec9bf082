"""A stand-in for a pretrained vision-language model: a small LLaVA with random weights, saved as a real one is."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    CLIPImageProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

_SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
_WIDTHS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_vlm(folder: Path, seed: int) -> Path:
    """A LLaVA (CLIP and Llama of width 32) over bytes and pictures of 32 x 32, as it saves itself with its processor.

    `folder` is made where it is missing, and returned. The same seed gives the same weights.
    """
    tokenizer = _make_tokenizer()
    vision = {**_WIDTHS, "model_type": "clip_vision_model", "image_size": 32, "patch_size": 8}
    text = {**_WIDTHS, "model_type": "llama", "vocab_size": len(tokenizer), "max_position_embeddings": 8192}
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=_SPECIAL.index("<image>"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=_TEMPLATE,
        image_token="<image>",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


def _make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes as tokens, the four answers with their space as one token each, <s> before every text."""
    merges = [("Ġ", letter) for letter in "ABCD"]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({piece: place for place, piece in enumerate([*_SPECIAL, *pieces])}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
