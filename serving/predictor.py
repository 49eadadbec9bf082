"""One registered task model answering for texts and images in memory."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.clustering.mapping import mapped_probabilities
from itrp.data.images import check_image
from itrp.data.rejections import RejectedError
from itrp.data.texts import check_text
from itrp.errors import UnmappedModelError
from itrp.inference.prediction import predict_pairs
from itrp.labels import CLASS_NAMES, Task
from itrp.models.device import choose_device
from itrp.systems import System, load_system, predicted_task
from serving.former_models import renew_former_model
from serving.registry import explain_unmapped

if TYPE_CHECKING:
    import pandas as pd


CLASSES = 2
"""Each task is a yes or a no."""


class Predictor:
    """A saved model with class names, on one device."""

    def __init__(self, model: System, mapping: tuple[int, ...] | None, device: torch.device) -> None:
        self.model = model.to(device)
        self.mapping = mapping
        self.device = device

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Predictor":
        """Read a folder that a system's `save` wrote. Raises DataError when it holds none."""
        renew_former_model(sys._getframe(1))
        model, mapping = load_system(folder)
        return cls(model, mapping, choose_device(device))

    @property
    def task(self) -> Task:
        """The task the model was trained for."""
        return predicted_task(self.model)

    def name_classes(self, clusters: NDArray[np.floating]) -> NDArray[np.float64]:
        """Cluster probabilities [n, k] as class probabilities [n, classes].

        Raises UnmappedModelError when no mapping from clusters to classes was chosen yet.
        """
        return mapped_probabilities(np.asarray(clusters, dtype=np.float64), self.require_mapping(), CLASSES)

    def require_mapping(self) -> tuple[int, ...]:
        """The mapping cluster -> class. Raises UnmappedModelError when none was chosen yet."""
        if self.mapping is None:
            raise UnmappedModelError(explain_unmapped(f"this {self.task} model"))
        return self.mapping

    def predict(self, texts: Sequence[str], images: Sequence[bytes]) -> NDArray[np.float64]:
        """[n, classes] probabilities for n texts and their images' bytes, n >= 0; column 1 is the probability of class 1.

        Raises RejectedError, with the number of the row, for what is no tweet, and UnmappedModelError for a model without
        class names.
        """
        self.require_mapping()
        if not len(texts) and not len(images):
            return np.empty((0, CLASSES))
        _check_rows(texts, check_text)
        try:
            found = predict_pairs(self.model, texts, images, self.device)
        except RejectedError:
            _check_rows(images, check_image)  # which one it was
            raise
        return self.name_classes(found)

    def answer(self, data: Any, *, string_paths: bool = True) -> "pd.DataFrame":
        """What a registered model answers: `label`, `probability` of class 1 and `reason`, one row each, the input's index.

        data: a DataFrame, columns or records with text and image (serving.model_input); a row that cannot be used gets an
        empty label and the reason. string_paths: serving.image_input.read_image.
        """
        # late: it imports MLflow, and scoring needs none of it here
        from serving.row_predictions import predict_rows

        return predict_rows(self, data, string_paths=string_paths)


def _check_rows(values: Sequence[Any], check: Callable[[Any], object]) -> None:
    """Raises the first rejection with the number of its row."""
    for row, value in enumerate(values):
        try:
            check(value)
        except RejectedError as error:
            raise RejectedError(error.code, f"row {row}: {error.reason}") from error


def class_vocabulary(task: Task) -> dict[str, str]:
    """Label -> what it means, as written into a registered model's metadata."""
    return {str(index): name for index, name in enumerate(CLASS_NAMES[task])}
