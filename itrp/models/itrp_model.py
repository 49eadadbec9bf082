"""The ITRp model: two encoders, fusion, and a linear head; saved as safetensors and JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from itrp.config import ExperimentConfig
from itrp.errors import DataError, WrongUseError
from itrp.models.image_encoder import ImageEncoder, build_image_encoder, load_image_encoder
from itrp.models.pretrained import describe_tokenizer
from itrp.models.text_encoder import TextEncoder, build_text_encoder, load_text_encoder

WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
TEXT_FOLDER = "text"


class ItrpModel(nn.Module):
    """e = fuse(text vector, image vector); the head gives k logits (paper, equations 1 to 3)."""

    def __init__(self, config: ExperimentConfig, text: TextEncoder, image: ImageEncoder) -> None:
        super().__init__()
        self.config = config
        self.text = text
        self.image = image
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self._fused_width(), config.k)

    def _fused_width(self) -> int:
        if self.config.fusion == "concatenation":
            return self.text.width + self.image.width
        if self.text.width != self.image.width:
            raise WrongUseError(
                f"fusion={self.config.fusion} needs encoders of equal width, found {self.text.width} (text) and "
                f"{self.image.width} (image); use fusion=concatenation"
            )
        return self.text.width

    def fuse(self, text: Tensor, image: Tensor) -> Tensor:
        """[b, d_text] and [b, d_image] -> [b, d]."""
        if self.config.fusion == "concatenation":
            return torch.cat((text, image), dim=1)
        return text * image if self.config.fusion == "multiplication" else text + image

    @torch.inference_mode()
    def fuse_vectors(self, text: NDArray[np.float32], image: NDArray[np.float32]) -> NDArray[np.float32]:
        """`fuse` for arrays: [n, d_text] and [n, d_image] -> [n, d]."""
        return self.fuse(torch.tensor(text), torch.tensor(image)).numpy()

    def classify(self, text: Tensor, image: Tensor) -> Tensor:
        """Vectors of both sides -> [b, k] logits."""
        logits: Tensor = self.head(self.dropout(self.fuse(text, image)))
        return logits

    def reset_head(self, seed: int) -> None:
        """Draw the head's weights anew (Algorithm 1, step 4), the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        bound = self.head.in_features**-0.5  # as nn.Linear initialises weight and bias
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))

    def set_head(self, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
        """Make given scores the head's: weight [k, d], bias [k]."""
        with torch.no_grad():
            self.head.weight.copy_(torch.as_tensor(weight))
            self.head.bias.copy_(torch.as_tensor(bias))

    def tuned_state(self) -> dict[str, Tensor]:
        """The tensors that training changes: the fine-tuned encoders' (batch-norm statistics too) and the head's."""
        parts = [
            name
            for name, tuned in (("text.", self.config.text.finetune), ("image.", self.config.image.finetune))
            if tuned
        ]
        prefixes = (*parts, "head.")
        return {name: tensor for name, tensor in self.state_dict().items() if name.startswith(prefixes)}

    def load_tuned_state(self, state: dict[str, Tensor]) -> None:
        """Put back what `tuned_state` gave. Raises DataError when it is another model's."""
        expected = set(self.tuned_state())
        if set(state) != expected:
            raise DataError(
                f"expected a checkpoint of {len(expected)} tensors of this model, found {len(state)}: it is of another experiment"
            )
        put_back(self, state)

    def save(self, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None = None) -> None:
        """Write weights, architecture, tokenizer and class names into a folder that must not exist yet."""
        folder.mkdir(parents=True)
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()},
            folder / WEIGHTS_FILE,
        )
        self.text.save(folder / TEXT_FOLDER)
        description = {
            "config": self.config.model_dump(mode="json"),
            "mapping": list(mapping) if mapping is not None else None,
            **(extra or {}),
        }
        (folder / MODEL_FILE).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")


def build_model(config: ExperimentConfig) -> ItrpModel:
    """A model with pretrained encoders and a fresh head. Raises WeightsUnavailableError."""
    model = ItrpModel(config, load_text_encoder(config.text), load_image_encoder(config.image))
    model.reset_head(config.seed)
    return model


def put_back(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors that the model's own `state_dict` has, all of them or some."""
    own = model.state_dict()
    # updated, not replaced: beside its tensors a state dict keeps the architecture's version, which MNASNet asks for
    own.update(state)
    model.load_state_dict(own)


def read_description(folder: Path) -> dict[str, object]:
    """What `ItrpModel.save` wrote beside the weights: config, mapping, extra. Raises DataError."""
    try:
        return dict(json.loads((folder / MODEL_FILE).read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"expected a saved ITRp model in {folder}, found none ({error})") from None


def load_model(folder: Path) -> tuple[ItrpModel, tuple[int, ...] | None]:
    """A saved model, ready to predict, and its mapping cluster -> class (None when it has none yet)."""
    description = read_description(folder)
    config = ExperimentConfig.model_validate(description["config"])
    model = ItrpModel(config, build_text_encoder(config.text, folder / TEXT_FOLDER), build_image_encoder(config.image))
    state = load_file(folder / WEIGHTS_FILE)
    if set(state) != set(model.state_dict()):
        raise DataError(f"expected in {folder / WEIGHTS_FILE} the tensors that {MODEL_FILE} describes, found others")
    put_back(model, state)
    mapping = description["mapping"]
    return model.eval(), tuple(mapping) if isinstance(mapping, list) else None


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
