"""Two encoders and what makes class probabilities of their vectors: the sort of model that scoring runs on any runtime."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from itrp.config import ImageEncoderConfig, TextEncoderConfig
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.models.device import Vectors
from itrp.models.image_encoder import ImageEncoder, build_image_encoder
from itrp.models.pretrained import describe_tokenizer
from itrp.models.text_encoder import TextEncoder, build_text_encoder

WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
TEXT_FOLDER = "text"
ENCODERS = ("text.", "image.")
"""What the names of the encoders' tensors begin with; all others are the head's."""


class DescribedConfig(Protocol):
    """A configuration that is written down beside the weights."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """As JSON values."""
        ...


class EncoderPairConfig(DescribedConfig, Protocol):
    """What such a model's configuration has in any case."""

    @property
    def name(self) -> str:
        """The experiment's."""
        ...

    @property
    def text(self) -> TextEncoderConfig:
        """The text encoder."""
        ...

    @property
    def image(self) -> ImageEncoderConfig:
        """The image encoder."""
        ...

    @property
    def embed_batch_size(self) -> int:
        """Pairs at a time."""
        ...


class EncoderPair(nn.Module):
    """A text encoder, an image encoder, and a head of any kind."""

    config: EncoderPairConfig
    text: TextEncoder
    image: ImageEncoder
    kept_in: Path | None = None
    """Where a model that reads more of a shard than these vectors keeps it, beside them; None keeps nothing. To be set before
    the model is used."""

    @property
    def reads_text(self) -> bool:
        """Whether the head looks at the texts' vectors; they may have no entries, [n, 0], where it does not."""
        return True

    @abstractmethod
    def classify_vectors(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """[n, k] probabilities from the vectors [n, d_text] and [n, d_image] of a shard's pairs, in stored order.

        images: row numbers [n] of the images that the texts shall stand beside; their own ones by default.
        """

    def head_digest(self) -> str:
        """64 hex digits naming all that is no encoder's."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            if not name.startswith(ENCODERS):
                digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None = None) -> None:
        """Write weights, architecture, tokenizer and class names into a folder that must not exist yet."""
        folder.mkdir(parents=True)
        save_weights(self, folder)
        self.text.save(folder / TEXT_FOLDER)
        describe_model(self.config, folder, mapping, extra)


def restore_encoders(config: EncoderPairConfig, folder: Path) -> tuple[TextEncoder, ImageEncoder]:
    """The encoders that `EncoderPair.save` described, with weights still to be loaded."""
    return build_text_encoder(config.text, folder / TEXT_FOLDER), build_image_encoder(config.image)


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write all tensors of a model, which `load_weights` puts back."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)


def describe_model(
    config: DescribedConfig, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None
) -> None:
    """Write beside the weights what `read_description` reads: configuration, class names, and more."""
    description = {
        "config": config.model_dump(mode="json"),
        "mapping": list(mapping) if mapping is not None else None,
        **(extra or {}),
    }
    (folder / MODEL_FILE).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")


def load_weights(model: nn.Module, folder: Path) -> None:
    """Put the saved tensors into a model of the same architecture. Raises DataError where they are another's."""
    state = load_file(folder / WEIGHTS_FILE)
    if set(state) != set(model.state_dict()):
        raise DataError(f"expected in {folder / WEIGHTS_FILE} the tensors that {MODEL_FILE} describes, found others")
    put_back(model, state)


def put_back(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors that the model's own `state_dict` has, all of them or some."""
    own = model.state_dict()
    # updated, not replaced: beside its tensors a state dict keeps the architecture's version, which MNASNet asks for
    own.update(state)
    model.load_state_dict(own)


def read_description(folder: Path) -> dict[str, object]:
    """What `save` wrote beside the weights: config, mapping, extra. Raises DataError."""
    try:
        return dict(json.loads((folder / MODEL_FILE).read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"expected a saved ITRp model in {folder}, found none ({error})") from None


def read_mapping(description: dict[str, object]) -> tuple[int, ...] | None:
    """Cluster -> class as a description has it; None where the clusters have no names yet."""
    mapping = description["mapping"]
    return tuple(mapping) if isinstance(mapping, list) else None


def fingerprint(encoder: TextEncoder | ImageEncoder) -> str:
    """16 hex digits naming an encoder by what decides its vectors: configuration that shapes them, and weights."""
    settings = encoder.config.model_dump(mode="json", exclude={"finetune", "optimizer", "name", "weights"})
    digest = hashlib.sha256(json.dumps([type(encoder).__name__, settings], sort_keys=True).encode())
    if isinstance(encoder, TextEncoder):
        digest.update(describe_tokenizer(encoder.tokenizer))
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
