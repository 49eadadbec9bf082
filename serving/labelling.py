"""Both task models over one shard; vectors of encoders that neither task has fine-tuned are computed once and cached."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itrp.embeddings import EmbeddingCache, choose_device
from itrp.inputs import ShardFile, read_ids
from itrp.labels import Task
from itrp.prediction import predict_shard
from serving.predictor import Predictor


class ShardLabeller:
    """The two task models on one device."""

    def __init__(self, folders: Mapping[Task, Path], *, cache: Path, device: str) -> None:
        chosen = choose_device(device)
        self.predictors = {task: Predictor.load(folder, str(chosen)) for task, folder in folders.items()}
        self.cache = EmbeddingCache(cache / "embeddings", chosen)

    def label(self, shard: ShardFile) -> tuple[list[str], dict[Task, NDArray[np.float64]]]:
        """Tweet ids and class probabilities [n, 2] by task, in stored order. Raises UnmappedModelError."""
        probabilities = {
            task: predictor.name_classes(predict_shard(predictor.model, shard, self.cache))
            for task, predictor in self.predictors.items()
        }
        return read_ids(shard), probabilities
