"""What registered models say of shards: asked once for each version and shard, and kept on disk."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.inference.embeddings import EmbeddingCache, keep_array
from itrp.inference.prediction import predict_shard
from itrp.models.device import choose_device
from itrp.systems import System, load_system
from serving.registry import ModelVersion, Registry


class ShardAnswers:
    """Cluster probabilities by version and shard. Both never change, so an answer is good for ever."""

    def __init__(self, registry: Registry, *, cache: Path, device: str) -> None:
        self.registry = registry
        self.cache = cache
        self.embeddings = EmbeddingCache(cache / "embeddings", choose_device(device))

    def probabilities(self, version: ModelVersion, shards: Sequence[ShardFile]) -> NDArray[np.float32]:
        """[n, k] cluster probabilities of the shards' pairs, one shard after the other; of a supervised version's classes.

        The model is fetched and loaded only for shards it was never asked about.
        """
        files = [self._file(version, shard) for shard in shards]
        model: System | None = None
        for file, shard in zip(files, shards, strict=True):
            if not file.exists():
                model = model or self._load(version)
                keep_array(file, predict_shard(model, shard, self.embeddings))
        return np.concatenate([np.load(file) for file in files])

    def clusters(self, version: ModelVersion, shards: Sequence[ShardFile]) -> NDArray[np.int64]:
        """[n] most probable clusters of the shards' pairs."""
        return self.probabilities(version, shards).argmax(axis=1)

    def _load(self, version: ModelVersion) -> System:
        model, _ = load_system(self.registry.fetch(version))
        return model.to(self.embeddings.device)

    def _file(self, version: ModelVersion, shard: ShardFile) -> Path:
        # the folder's name tells a version from one of the same number in a registry that was set up anew
        key = json.dumps([self.registry.folder_of(version).name, shard.hash, self.embeddings.device.type])
        return self.cache / "answers" / f"{sha256(key.encode()).hexdigest()}.npy"
