"""One registered task model answering for texts and pictures in memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.embeddings import choose_device, embed_pixels, embed_tokens
from itrp.errors import UnmappedModelError
from itrp.images import load_pixels
from itrp.labels import CLASS_NAMES, Task
from itrp.mapping import mapped_probabilities
from itrp.model import ItrpModel, load_model
from itrp.prediction import classify_vectors
from serving.registry import explain_unmapped


class Predictor:
    """A saved model with class names, on one device."""

    def __init__(self, model: ItrpModel, mapping: tuple[int, ...] | None, device: torch.device) -> None:
        self.model = model.to(device)
        self.mapping = mapping
        self.device = device

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Predictor":
        """Read a folder that `ItrpModel.save` wrote. Raises DataError when it holds none."""
        model, mapping = load_model(folder)
        return cls(model, mapping, choose_device(device))

    @property
    def task(self) -> Task:
        """The task the model was trained for."""
        return self.model.config.task

    def name_classes(self, clusters: NDArray[np.floating]) -> NDArray[np.float64]:
        """Cluster probabilities [n, k] as class probabilities [n, classes].

        Raises UnmappedModelError when no mapping from clusters to classes was chosen yet.
        """
        if self.mapping is None:
            raise UnmappedModelError(explain_unmapped(f"this {self.task} model"))
        return mapped_probabilities(np.asarray(clusters, dtype=np.float64), self.mapping)

    def predict(self, texts: Sequence[str], images: Sequence[bytes]) -> NDArray[np.float64]:
        """[n, classes] probabilities for n texts and their pictures' bytes.

        Raises RefusedError for bytes that are no picture and UnmappedModelError for a model without class names.
        """
        text_encoder, image_encoder = self.model.text, self.model.image
        tokens = text_encoder.tokenize(texts)
        pixels = np.stack([load_pixels(data, image_encoder.config.size) for data in images])
        batch_size = self.model.config.embed_batch_size
        text_vectors = embed_tokens(text_encoder, tokens, self.device, batch_size)
        image_vectors = embed_pixels(image_encoder, pixels, self.device, batch_size)
        return self.name_classes(classify_vectors(self.model, text_vectors, image_vectors, self.device))


def class_vocabulary(task: Task) -> dict[str, str]:
    """Label -> what it means, as written into a registered model's metadata."""
    return {str(index): name for index, name in enumerate(CLASS_NAMES[task])}
