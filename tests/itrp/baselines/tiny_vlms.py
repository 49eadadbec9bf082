"""Vision-language models of random weights in folders as on the hub, of three kinds that take pictures differently."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from itrp.baselines.zero_shot_vlm import OPTIONS
from tests.itrp.models.drawn_models import draw_model

TEXT_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
VISION_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
}
TURNS = (
    "{% for m in messages %}{{ BEGIN }}{{ m['role'] }}MARK{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}SPACE{{ c['text'] }}{% endif %}{% endfor %}END{% endfor %}"
    "{% if add_generation_prompt %}{{ BEGIN }}assistantMARK{% endif %}"
)


def chat_template(begin: str, mark: str, image: str, space: str, end: str) -> str:
    """In the style of those on the hub: what stands around a turn, and whether a space is before its text."""
    parts = {"MARK": mark, "IMAGE": image, "SPACE": space, "END": end, "{{ BEGIN }}": begin}
    template = TURNS
    for name, value in parts.items():
        template = template.replace(name, value)
    return template


def make_tokenizer(special: list[str], merges: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Bytes as tokens, the merged ones beside them, and the special tokens; <s> is written before every text."""
    from tokenizers.processors import TemplateProcessing

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    words = {piece: place for place, piece in enumerate(["<pad>", "<s>", "</s>", *special, *pieces])}
    tokenizer = Tokenizer(models.BPE(words, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ["<pad>", "<s>", "</s>", *special]])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )


def save_llava(folder: Path) -> None:
    """CLIP and Llama; "ASSISTANT:" is answered by one token, the letter with a space before it."""
    tokenizer = make_tokenizer(["<image>"], [("Ġ", letter) for letter in OPTIONS])
    template = chat_template("", ":", "<image>", " ", "</s>")
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = LlavaProcessor(
        images, tokenizer, 8, "default", chat_template=template, image_token="<image>", num_additional_image_tokens=1
    )
    vision = VISION_TOWER | {"model_type": "clip_vision_model", "image_size": 32}
    text = TEXT_TOWER | {"model_type": "llama", "vocab_size": len(tokenizer)}
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=3)
    save_with(folder, LlavaForConditionalGeneration, config, processor)


def save_idefics3(folder: Path) -> None:
    """SigLIP and Llama, large pictures in pieces; an answer is two tokens, the space and the letter."""
    names = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokenizer = make_tokenizer([*names, *(f"<row_{r}_col_{c}>" for r in (1, 2, 3) for c in (1, 2, 3))], [])
    template = chat_template("<s>", ":", "<image>", " ", "<end_of_utterance>\n")
    images = Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=template)
    vision = VISION_TOWER | {"image_size": 32}
    text = TEXT_TOWER | {"model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 0}
    config = Idefics3Config(vision_config=vision, text_config=text, image_token_id=3, scale_factor=2)
    save_with(folder, Idefics3ForConditionalGeneration, config, processor)


def save_qwen2_vl(folder: Path) -> None:
    """Pictures of any size, positions in three dimensions; the answer stands alone on a line of its own."""
    names = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = make_tokenizer(names, [])
    template = chat_template("<|im_start|>", "\n", "<|vision_start|><|image_pad|><|vision_end|>", "", "<|im_end|>\n")
    small = {"patch_size": 8, "size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}}
    images, videos = Qwen2VLImageProcessor(**small), Qwen2VLVideoProcessor(**small)
    processor = Qwen2VLProcessor(images, tokenizer, videos, chat_template=template)
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8}
    text = TEXT_TOWER | {"vocab_size": len(tokenizer), "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}
    ids = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
    save_with(
        folder, Qwen2VLForConditionalGeneration, Qwen2VLConfig(vision_config=vision, text_config=text, **ids), processor
    )


def save_with(folder: Path, kind: type, config: Any, processor: Any) -> None:
    draw_model(kind, config).save_pretrained(folder)
    processor.save_pretrained(folder)
