"""One registered task model answering for texts and pictures in memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.embeddings import choose_device
from itrp.errors import UnmappedModelError
from itrp.labels import CLASS_NAMES, Task
from itrp.mapping import mapped_probabilities
from itrp.prediction import predict_pairs
from itrp.systems import System, asked_task, load_system
from serving.registry import explain_unmapped


class Predictor:
    """A saved model with class names, on one device."""

    def __init__(self, model: System, mapping: tuple[int, ...] | None, device: torch.device) -> None:
        self.model = model.to(device)
        self.mapping = mapping
        self.device = device

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Predictor":
        """Read a folder that a system's `save` wrote. Raises DataError when it holds none."""
        model, mapping = load_system(folder)
        return cls(model, mapping, choose_device(device))

    @property
    def task(self) -> Task:
        """The task the model was trained for."""
        return asked_task(self.model)

    def name_classes(self, clusters: NDArray[np.floating]) -> NDArray[np.float64]:
        """Cluster probabilities [n, k] as class probabilities [n, classes].

        Raises UnmappedModelError when no mapping from clusters to classes was chosen yet.
        """
        return mapped_probabilities(np.asarray(clusters, dtype=np.float64), self.require_mapping())

    def require_mapping(self) -> tuple[int, ...]:
        """The mapping cluster -> class. Raises UnmappedModelError when none was chosen yet."""
        if self.mapping is None:
            raise UnmappedModelError(explain_unmapped(f"this {self.task} model"))
        return self.mapping

    def predict(self, texts: Sequence[str], images: Sequence[bytes]) -> NDArray[np.float64]:
        """[n, classes] probabilities for n texts and their pictures' bytes.

        Raises RefusedError for bytes that are no picture and UnmappedModelError for a model without class names.
        """
        return self.name_classes(predict_pairs(self.model, texts, images, self.device))


def class_vocabulary(task: Task) -> dict[str, str]:
    """Label -> what it means, as written into a registered model's metadata."""
    return {str(index): name for index, name in enumerate(CLASS_NAMES[task])}
