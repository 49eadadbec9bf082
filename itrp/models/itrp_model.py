"""The ITRp model: two encoders, fusion, and a linear head."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.errors import DataError, WrongUseError
from itrp.models.device import Vectors
from itrp.models.encoder_pair import (
    EncoderPair,
    load_weights,
    put_back,
    read_description,
    read_mapping,
    restore_encoders,
)
from itrp.models.image_encoder import ImageEncoder, load_image_encoder
from itrp.models.text_encoder import TextEncoder, load_text_encoder


class ItrpModel(EncoderPair):
    """e = fuse(text vector, image vector); the head gives k logits (paper, equations 1 to 3)."""

    config: ExperimentConfig

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
        if self.config.image_alone:
            return self.image.width
        if self.text.width != self.image.width:
            raise WrongUseError(
                f"fusion={self.config.fusion} needs encoders of equal width, found {self.text.width} (text) and "
                f"{self.image.width} (image); use fusion=concatenation"
            )
        return self.text.width

    def fuse(self, text: Tensor, image: Tensor) -> Tensor:
        """[b, d_text] and [b, d_image] -> [b, d]. Where the image stands alone, the texts' vectors may have no entries."""
        if self.config.fusion == "image":
            return image
        if self.config.fusion == "image-root":
            return image.clamp(min=0).sqrt()
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

    @property
    def reads_text(self) -> bool:
        """Not where the image stands alone."""
        return not self.config.image_alone

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

    def classify_vectors(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """[n, k] cluster probabilities (softmax of the head)."""
        self.eval()
        image = image if images is None else image[images]
        device = self.head.weight.device
        with torch.inference_mode():
            logits = self.classify(torch.tensor(text, device=device), torch.tensor(image, device=device))
            return torch.softmax(logits.float(), dim=1).cpu().numpy()


def build_model(config: ExperimentConfig) -> ItrpModel:
    """A model with pretrained encoders and a fresh head. Raises WeightsUnavailableError."""
    model = ItrpModel(config, load_text_encoder(config.text), load_image_encoder(config.image))
    model.reset_head(config.seed)
    return model


def load_model(folder: Path) -> tuple[ItrpModel, tuple[int, ...] | None]:
    """A saved model, ready to predict, and its mapping cluster -> class (None when it has none yet)."""
    description = read_description(folder)
    config = ExperimentConfig.model_validate(description["config"])
    model = ItrpModel(config, *restore_encoders(config, folder))
    load_weights(model, folder)
    return model.eval(), read_mapping(description)
