"""A trained model that only predicts: both encoders on a runtime, and the head."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from itrp.data.inputs import ShardFile
from itrp.inference.embedders import ImageEmbedder, TextEmbedder, prepare_image, prepare_text
from itrp.inference.runtimes import Runtime
from itrp.models.device import Vectors, no_vectors
from itrp.models.encoder_pair import EncoderPair

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PreparedModel:
    """What predicts."""

    model: EncoderPair
    """Its head; the encoders are those below."""
    text: TextEmbedder
    image: ImageEmbedder

    @property
    def needed(self) -> tuple[str, ...]:
        """Fingerprints of the encoders whose vectors the head reads."""
        read = (self.text.fingerprint,) if self.model.reads_text else ()
        return (*read, self.image.fingerprint)

    @property
    def untouched(self) -> frozenset[str]:
        """Fingerprints of the encoders that were not fine-tuned: other models have them too, so their vectors are kept."""
        config = self.model.config
        sides = ((self.text.fingerprint, config.text.finetune), (self.image.fingerprint, config.image.finetune))
        return frozenset(fingerprint for fingerprint, tuned in sides if not tuned)

    def classify(self, vectors: Mapping[str, Vectors], shard: ShardFile) -> NDArray[np.float32]:
        """[n, k] cluster probabilities from the vectors of both encoders, by fingerprint."""
        text = vectors[self.text.fingerprint] if self.model.reads_text else no_vectors(shard.pairs)
        return self.model.classify_vectors(text, vectors[self.image.fingerprint], shard)


def prepare_model(model: EncoderPair, runtime: Runtime, threads: int) -> PreparedModel:
    """The model on a runtime, for so many threads at once. It is taken over: but for its head it is empty afterwards."""
    text, image = prepare_text(model.text, runtime, threads), prepare_image(model.image, runtime, threads)
    # nothing asks them any more, and on a runtime that is not exact there are two of each
    model.text, model.image = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    model.to(CPU)
    return PreparedModel(model, text, image)
