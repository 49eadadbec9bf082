"""The aligned model of a dual encoder: CLIP's or SigLIP's own vectors, and what chance pairs of tweets look like in them."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from itrp.alignment.config import DualAlignedConfig
from itrp.data.inputs import ShardFile
from itrp.models.aligned_model import read_aligner, read_keys
from itrp.models.aligner import Aligner
from itrp.models.device import Vectors
from itrp.models.dual_encoder import ENCODER_FOLDER, DualEncoder, build_dual_encoder, load_dual_encoder
from itrp.models.encoder_pair import describe_model, load_weights, read_description, read_mapping, save_weights


class DualAlignedModel(nn.Module):
    """Class 1: the text is represented in the image. Its classes have their names from the beginning."""

    def __init__(self, config: DualAlignedConfig, encoder: DualEncoder, aligner: Aligner) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.aligner = aligner

    @cached_property
    def fingerprint(self) -> str:
        """The encoder's: other versions with the same encoder read the vectors that this one has made."""
        return self.encoder.fingerprint()

    def classify_vectors(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """[n, 2] probabilities that the text is not represented, and that it is, from the encoder's vectors [n, d] of a shard.

        images: row numbers [n] of the images that the texts shall stand beside; their own ones by default.
        """
        return self.aligner.probabilities(text, image, *read_keys(shard), images)

    def save(self, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None = None) -> None:
        """Write all that scoring needs, the encoder's weights too, into a folder that must not exist yet."""
        folder.mkdir(parents=True)
        save_weights(self, folder)
        self.encoder.save(folder / ENCODER_FOLDER)
        describe_model(self.config, folder, mapping, extra)


def build_dual_aligned_model(config: DualAlignedConfig) -> DualAlignedModel:
    """A model with a pretrained encoder whose aligner is still to be made. Raises WeightsUnavailableError."""
    return DualAlignedModel(config, load_dual_encoder(config.dual_encoder), Aligner({}))


def load_dual_aligned_model(folder: Path) -> tuple[DualAlignedModel, tuple[int, ...] | None]:
    """A saved model, ready to predict, and its mapping cluster -> class (None where it has no names). Nothing is fetched."""
    description = read_description(folder)
    config = DualAlignedConfig.model_validate(description["config"])
    model = DualAlignedModel(config, build_dual_encoder(folder / ENCODER_FOLDER), read_aligner(folder))
    load_weights(model, folder)
    return model.eval(), read_mapping(description)
