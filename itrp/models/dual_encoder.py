"""Texts and images into one space: CLIP, SigLIP, SigLIP 2 and other dual encoders of transformers.

Radford et al. 2021 (CLIP), Zhai et al. 2023 (SigLIP), Tschannen et al. 2025 (SigLIP 2). The cosine of a text's and a
image's vector says how well they fit, without any training on tweets.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.image_processing_utils import BaseImageProcessor

from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile
from itrp.data.rejections import RejectedError
from itrp.data.shards import iter_batches
from itrp.errors import WeightsUnavailableError
from itrp.models.device import Vectors, autocast
from itrp.models.pretrained import describe_tokenizer, digest_model, explain_loading, find_checkpoint, load_whole

ENCODER_FOLDER = "encoder"
"""Where a saved system describes its dual encoder."""
_NEEDED = ("get_text_features", "get_image_features", "logit_scale")
_REMEDY = (
    "give the hub id of a CLIP or SigLIP model, or a FOLDER holding config.json, model.safetensors, tokenizer.json and "
    "preprocessor_config.json as save_pretrained writes them"
)


class DualEncoder(nn.Module):
    """A dual encoder with its own tokenizer and its own preprocessing of images."""

    model: Any
    """A PreTrainedModel with get_text_features and get_image_features: classes that have no common base."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, image_processor: BaseImageProcessor
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.is_siglip = model.config.model_type.startswith("siglip")
        self.max_tokens = _find_max_tokens(model, tokenizer)

    @property
    def scale(self) -> float:
        """What the model multiplies the cosine by to get its logit."""
        return float(self.model.logit_scale.detach().float().exp())

    @property
    def bias(self) -> float:
        """What the model adds to the scaled cosine: SigLIP's learned bias, 0 for the others."""
        bias = getattr(self.model, "logit_bias", None)
        return 0.0 if bias is None else float(bias.detach())

    def fingerprint(self) -> str:
        """16 hex digits naming the encoder by what decides its vectors: tokens, pixels and weights."""
        pixels = self.image_processor.to_json_string().encode()
        tokens = f"{self.model.config.model_type} {self.max_tokens}".encode()
        return digest_model(self.model, tokens, describe_tokenizer(self.tokenizer), pixels)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """What the text tower takes: input_ids [b, t] int64 and, but for SigLIP, attention_mask [b, t].

        Cut at the model's maximum length. SigLIP learned from lower-case texts, padded to that length at the right and
        not masked: it reads its vector off the last place, padding or not.
        """
        if not self.is_siglip:
            rows = self.tokenizer(
                list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
            )
            return {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
        rows = self.tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            padding_side="right",
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return {"input_ids": rows["input_ids"]}

    def preprocess(self, images: Sequence[bytes]) -> dict[str, Tensor]:
        """What the image tower takes, as the checkpoint's preprocessor_config.json says; pixel_values [b, ...] float32.

        Each image is shrunk before the next one is decoded, so at most one a core lies in memory at its full size.
        Raises RejectedError as `decode_image` does.
        """
        with ThreadPoolExecutor(cpu_count() or 1) as pool:
            rows = list(pool.map(self._preprocess_one, images))
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _preprocess_one(self, image: bytes) -> dict[str, Tensor]:
        return dict(self.image_processor(images=[decode_image(image)], return_tensors="pt"))

    def encode_texts(self, inputs: dict[str, Tensor]) -> Tensor:
        """What `tokenize` gives -> [b, d] projected vectors of any length, with gradients where they are wanted."""
        return _pick_vectors(self.model.get_text_features(**inputs))

    def encode_images(self, inputs: dict[str, Tensor]) -> Tensor:
        """What `preprocess` gives -> [b, d] projected vectors of any length, with gradients where they are wanted."""
        return _pick_vectors(self.model.get_image_features(**inputs))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], device: torch.device, batch_size: int = 64) -> Vectors:
        """[n, d] float32 vectors of length 1, in evaluation mode; the encoder moves to `device`."""
        self.eval().to(device)
        parts = []
        for start in range(0, len(texts), batch_size):
            inputs = _move(self.tokenize(texts[start : start + batch_size]), device)
            with autocast(device):
                parts.append(_normalise(self.encode_texts(inputs)))
        return np.concatenate(parts) if parts else self._no_vectors()

    @torch.inference_mode()
    def embed_images(self, images: Sequence[bytes], device: torch.device, batch_size: int = 64) -> Vectors:
        """[n, d] float32 vectors of length 1 of image files, in evaluation mode; the encoder moves to `device`.

        Raises RejectedError as `decode_image` does.
        """
        self.eval().to(device)
        parts = []
        for start in range(0, len(images), batch_size):
            inputs = _move(self.preprocess(images[start : start + batch_size]), device)
            with autocast(device):
                parts.append(_normalise(self.encode_images(inputs)))
        return np.concatenate(parts) if parts else self._no_vectors()

    def cosines(self, shards: Sequence[ShardFile], device: torch.device) -> NDArray[np.float32]:
        """[n] cosine of each pair's text and image, in stored order; a few hundred pairs are in memory at a time.

        NaN where the image cannot be decoded.
        """
        parts = [np.empty(0, dtype=np.float32)]
        for shard in shards:
            for batch in iter_batches(shard.path, ["text", "image"]):
                texts = self.embed_texts(batch.column("text").to_pylist(), device)
                images = self._embed_decodable(batch.column("image").field("bytes").to_pylist(), device)
                parts.append((texts * images).sum(axis=1))
        return np.concatenate(parts)

    def _embed_decodable(self, images: Sequence[bytes], device: torch.device) -> Vectors:
        """As `embed_images`, with NaN in the rows of images that cannot be decoded."""
        try:
            return self.embed_images(images, device)
        except RejectedError:  # rare: ingestion has decoded them all
            decodable = [row for row, image in enumerate(images) if _is_decodable(image)]
            vectors = np.full((len(images), self.width), np.nan, dtype=np.float32)
            vectors[decodable] = self.embed_images([images[row] for row in decodable], device)
            return vectors

    def save(self, folder: Path) -> None:
        """Write architecture, tokenizer and preprocessing of images; the weights lie elsewhere."""
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)

    def _no_vectors(self) -> Vectors:
        return np.empty((0, self.width), dtype=np.float32)

    @property
    def width(self) -> int:
        """d of the [n, d] vectors."""
        config = self.model.config
        return int(config.text_config.projection_size if self.is_siglip else config.projection_dim)


def load_dual_encoder(name: str) -> DualEncoder:
    """The dual encoder of a hub id or local folder, in float32 and evaluation mode.

    Raises WeightsUnavailableError, one line, when it is neither here nor to be fetched, lacks tensors, or is no dual
    encoder of texts and images.
    """
    source = find_checkpoint(name)
    with explain_loading("dual encoder", name, _REMEDY):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        image_processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        model = load_whole(AutoModel, name, torch.float32)
    if not all(hasattr(model, needed) for needed in _NEEDED):
        raise WeightsUnavailableError(
            f"the dual encoder {name!r} holds a {type(model).__name__}: expected a model of texts and images "
            f"with {', '.join(_NEEDED)}; {_REMEDY}"
        )
    return DualEncoder(model, tokenizer, image_processor)


def build_dual_encoder(folder: Path) -> DualEncoder:
    """The encoder that `DualEncoder.save` described, with weights still to be loaded. Nothing is fetched."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    image_processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    architecture = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = AutoModel.from_config(architecture, trust_remote_code=False, dtype=torch.float32)
    return DualEncoder(model, tokenizer, image_processor)


def is_dual_encoder(name: str) -> bool:
    """Whether a hub id or folder is to be asked for similarity: it is no model that answers questions about images.

    Raises WeightsUnavailableError when its config.json is not to be had.
    """
    with explain_loading("model", name, _REMEDY):
        config = AutoConfig.from_pretrained(find_checkpoint(name), trust_remote_code=False)
    return type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING


def _find_max_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The places the text tower has, or fewer where the tokenizer says so."""
    places = int(model.config.text_config.max_position_embeddings)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            places -= module.padding_idx + 1  # RoBERTa's count from after the padding's number
    return min(places, int(tokenizer.model_max_length))


def _is_decodable(image: bytes) -> bool:
    try:
        decode_image(image)
    except RejectedError:
        return False
    return True


def _pick_vectors(features: object) -> Tensor:
    """transformers 5 answers with an output object where transformers 4 gave the tensor."""
    return features if isinstance(features, Tensor) else features.pooler_output  # type: ignore[attr-defined]


def _move(inputs: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _normalise(vectors: Tensor) -> Vectors:
    return nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
