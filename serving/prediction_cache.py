"""The one cache of predictions: what certain weights, on a certain runtime, say of a shard. None of the three ever changes, so
that evaluation, agreement, promotion, scoring and reproduction read what any of them has computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.files import write_atomically
from itrp.inference.embeddings import EmbeddingCache, keep_array
from itrp.inference.shard_vectors import predict_exactly
from itrp.models.device import choose_device
from itrp.models.dual_encoder import DualEncoder
from itrp.models.encoder_pair import EncoderPair
from itrp.systems import System, load_system
from serving.registry import ModelVersion, Registry
from serving.weights import Weights, decode_weights, read_weights

FOLDER = "predictions"
"""In the cache folder. Older releases kept theirs in `answers`, which nothing reads any more."""

PredictShards = Callable[[Sequence[ShardFile]], Iterable[NDArray[np.float32]]]
"""Shards -> one array each."""


class PredictionCache:
    """One file a shard, [n, k] float32: `<cache>/predictions/<weights' fingerprint>-<runtime>/<shard's hash>.npy`."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / FOLDER

    def file(self, weights: str, runtime: str, shard: ShardFile) -> Path:
        """Where they lie, or are to be kept (`keep_array`).

        weights: `Weights.fingerprint`. runtime: `Runtime.name`; the device's type for what `predict_exactly` computes.
        """
        return self.folder / f"{weights}-{runtime}" / f"{shard.hash}.npy"

    def read(
        self, weights: str, runtime: str, shards: Sequence[ShardFile], predict: PredictShards
    ) -> NDArray[np.float32]:
        """The shards' predictions, one after the other. predict: is asked, once, about those that nobody has kept."""
        return np.concatenate([*self.iterate(weights, runtime, shards, predict)])

    def iterate(
        self, weights: str, runtime: str, shards: Sequence[ShardFile], predict: PredictShards
    ) -> Iterator[NDArray[np.float32]]:
        """The same as one array a shard: memory does not grow with their number."""
        missing = [shard for shard in shards if not self.file(weights, runtime, shard).exists()]
        wanted = {shard.hash for shard in missing}
        made = zip(missing, predict(missing) if missing else (), strict=True)
        for shard in shards:
            path = self.file(weights, runtime, shard)
            if shard.hash in wanted:
                keep_array(path, next(made)[1])
            yield np.load(path)
        deque(made, maxlen=0)  # what predicts ends too, and says where it has made more or fewer

    def cosines(self, encoder: DualEncoder, shards: Sequence[ShardFile], device: torch.device) -> NDArray[np.float32]:
        """Text-image cosines [n] of the shards' pairs by a dual encoder, [n] in a file: kept like predictions."""
        return self.read(
            f"cosines-{encoder.fingerprint()}",
            device.type,
            shards,
            lambda missing: (encoder.cosines([shard], device) for shard in missing),
        )


class VersionPredictions:
    """Predictions of registered versions on one device. A model is fetched and loaded only for shards it has not seen."""

    def __init__(self, registry: Registry, *, cache: Path, device: str) -> None:
        self.registry = registry
        self.embeddings = EmbeddingCache(cache / "embeddings", choose_device(device))
        self.kept = PredictionCache(cache)

    def probabilities(self, version: ModelVersion, shards: Sequence[ShardFile]) -> NDArray[np.float32]:
        """[n, k] cluster probabilities of the shards' pairs, one shard after the other; of a supervised version's classes."""
        return self.of_weights(self.weights(version), shards, lambda: self.load(version))

    def iterate(
        self, version: ModelVersion, shards: Sequence[ShardFile], load: Callable[[], System] | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """The same as one array a shard. load: gives the model, for whoever asks again and again and has it already."""
        weights, runtime = self.weights(version), self.embeddings.device.type
        ask = load or (lambda: self.load(version))
        return self.kept.iterate(
            weights.fingerprint, runtime, shards, lambda missing: predict_exactly(ask(), missing, self.embeddings)
        )

    def clusters(self, version: ModelVersion, shards: Sequence[ShardFile]) -> NDArray[np.int64]:
        """[n] most probable clusters of the shards' pairs."""
        return self.probabilities(version, shards).argmax(axis=1)

    def of_weights(
        self, weights: Weights, shards: Sequence[ShardFile], load: Callable[[], System]
    ) -> NDArray[np.float32]:
        """[n, k] of the model with these weights. load: gives it, on this device, where something is missing."""
        runtime = self.embeddings.device.type
        return self.kept.read(
            weights.fingerprint, runtime, shards, lambda missing: predict_exactly(load(), missing, self.embeddings)
        )

    def weights(self, version: ModelVersion) -> Weights:
        """Read from the version's files once, then kept beside the predictions: a version never changes."""
        # the folder's name tells a version from one of the same number in a registry that was set up anew
        path = self.kept.folder / "weights" / f"{self.registry.folder_of(version).name}.json"
        if not path.exists():
            found = read_weights(self.registry.fetch(version))
            with write_atomically(path) as draft:
                draft.write_text(found.encode())
        return decode_weights(path.read_text())

    def load(self, version: ModelVersion) -> System:
        """The version's model on this device."""
        model, _ = load_system(self.registry.fetch(version))
        if isinstance(model, EncoderPair):
            model.kept_in = self.embeddings.folder
        return model.to(self.embeddings.device)
