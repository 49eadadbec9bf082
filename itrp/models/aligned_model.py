"""The aligned model: two frozen encoders, and what was learned about which of their vectors belong together."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from itrp.alignment.config import AlignedConfig
from itrp.alignment.folds import Keys, content_keys
from itrp.data.inputs import ShardFile, read_contents
from itrp.models.aligner import Aligner
from itrp.models.device import Vectors
from itrp.models.encoder_pair import (
    WEIGHTS_FILE,
    EncoderPair,
    load_weights,
    read_description,
    read_mapping,
    restore_encoders,
)
from itrp.models.image_encoder import ImageEncoder, load_image_encoder
from itrp.models.text_encoder import TextEncoder, load_text_encoder

_ALIGNER = "aligner."


class AlignedModel(EncoderPair):
    """Class 1: the text is represented in the image. Its classes have their names from the beginning."""

    config: AlignedConfig

    def __init__(self, config: AlignedConfig, text: TextEncoder, image: ImageEncoder, aligner: Aligner) -> None:
        super().__init__()
        self.config = config
        self.text = text
        self.image = image
        self.aligner = aligner

    def classify_vectors(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """[n, 2] probabilities that the text is not represented, and that it is."""
        return self.aligner.probabilities(text, image, *read_keys(shard), images)


def build_aligned_model(config: AlignedConfig) -> AlignedModel:
    """A model with pretrained encoders whose aligner is still to be fitted. Raises WeightsUnavailableError."""
    return AlignedModel(config, load_text_encoder(config.text), load_image_encoder(config.image), Aligner({}))


def read_keys(shard: ShardFile) -> tuple[Keys, Keys]:
    """[n] keys of a shard's texts and of its images."""
    texts, images = read_contents(shard)
    return content_keys(texts), content_keys(images)


def load_aligned_model(folder: Path) -> tuple[AlignedModel, tuple[int, ...] | None]:
    """A saved model, ready to predict, and its mapping cluster -> class (None where the alignment was too weak for names)."""
    description = read_description(folder)
    config = AlignedConfig.model_validate(description["config"])
    model = AlignedModel(config, *restore_encoders(config, folder), read_aligner(folder))
    load_weights(model, folder)
    return model.eval(), read_mapping(description)


def read_aligner(folder: Path) -> Aligner:
    """A saved model's aligner: its tensors are as large as the data it was fitted on, so that no configuration tells them."""
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(_ALIGNER)]  # noqa: SIM118  # no mapping
        return Aligner({name.removeprefix(_ALIGNER): file.get_tensor(name) for name in names})
