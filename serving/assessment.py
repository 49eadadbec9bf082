"""A registered model against human labels: its checkpoints' predictions on a labelled data set, ready for
`itrp.evaluation.results`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from infra.catalog.database import Catalog
from infra.catalog.queries import dataset_hash, get_dataset, list_shards
from infra.object_store import ObjectStore
from itrp.clustering.mapping import mapped_probabilities
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile, cache_pixels, find_set_aside
from itrp.errors import DataError, UnmappedModelError
from itrp.evaluation.labelled_predictions import predictions_on
from itrp.evaluation.results import TaskPredictions
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.dual_encoder import DualEncoder
from itrp.models.itrp_model import ItrpModel
from itrp.training.checkpoints import STATE_FILE, TUNED_FILE
from itrp.training.training_set import list_set_aside
from serving.errors import NotFoundError
from serving.files import local_file, local_shards
from serving.prediction_cache import VersionPredictions
from serving.registry import ROUND_TAG, ModelVersion, Registry, explain_unmapped

CHECKPOINTS_TAG = "itrp.checkpoints"
"""Key prefix of the rounds a version's training run has left."""


@dataclass(frozen=True)
class LabelledSet:
    """A labelled data set as local files. `annotations` and the shards' pairs are in the same order."""

    name: str
    hash: str
    shards: list[ShardFile]
    annotations: Annotations

    @property
    def dev_rows(self) -> NDArray[np.intp]:
        """Rows of the train split: the only labels that may choose a mapping or a checkpoint under `dev`."""
        return np.flatnonzero(self.annotations.split == "train")


def load_labelled_set(store: ObjectStore, catalog: Catalog, name: str, cache: Path) -> LabelledSet:
    """A data set with human labels. Pairs whose images cannot be decoded are in no split, with a warning that counts them.

    Raises NotFoundError when there is no data set of that name, DataError when it has no labels.
    """
    with catalog.session() as session:
        dataset = get_dataset(session, name)
        if dataset is None:
            raise NotFoundError(f"no data set is called {name!r}: ingest it first; `itrp doctor` lists the known ones")
        if dataset.annotations_key is None:
            raise DataError(
                f"the data set {name!r} has no human labels: evaluation needs one ingested with `itrp ingest itr`"
            )
        rows, data_hash = list_shards(session, name), dataset_hash(session, dataset)
    annotations = Annotations.from_parquet(store.get(dataset.annotations_key))
    shards = local_shards(store, rows, cache)
    for shard in shards:
        find_set_aside(shard, cache / "embeddings")
    unread = list_set_aside(shards, cache / "embeddings")
    return LabelledSet(name, data_hash, shards, annotations.set_aside(unread))


class Assessor:
    """Predictions of registered models, and of their checkpoints, on labelled sets."""

    def __init__(self, store: ObjectStore, registry: Registry, *, cache: Path, device: str) -> None:
        self.store = store
        self.cache = cache
        self.predictions = VersionPredictions(registry, cache=cache, device=device)

    @property
    def embeddings(self) -> EmbeddingCache:
        """The cache of frozen embeddings and pixels, on the device that predicts."""
        return self.predictions.embeddings

    def task_predictions(
        self,
        version: ModelVersion,
        labelled: LabelledSet,
        set_name: str,
        rounds: Sequence[int],
        *,
        on: Task | None = None,
    ) -> TaskPredictions:
        """Clusters of dev and test pairs by round, with the labels of the task the version's clusters are about.

        `on` is the task whose test rows are taken (by default that one).
        """
        clusters = self.clusters_by_round(version, labelled, rounds)
        return predictions_on(
            labelled.annotations,
            version.model_task,
            set_name,
            clusters,
            labelled.dev_rows,
            named=version.named,
            rows_of=on,
        )

    def rounds_of(self, version: ModelVersion) -> list[int]:
        """Numbers of the checkpoints that lie in the store, in order; the version's own round at least."""
        prefix = version.tags.get(CHECKPOINTS_TAG)
        found = set()
        for info in self.store.list(prefix) if prefix else ():
            match = re.search(rf"/round-(\d+)/{STATE_FILE}$", info.key)
            if match:
                found.add(int(match[1]))
        return sorted(found) or [own_round(version)]

    def clusters_by_round(
        self, version: ModelVersion, labelled: LabelledSet, rounds: Sequence[int]
    ) -> dict[int, NDArray[np.int64]]:
        """Clusters [n] of the data set's pairs by each round's checkpoint; by the version itself where it has left none."""
        if CHECKPOINTS_TAG not in version.tags:
            return {own_round(version): self.own_clusters(version, labelled)}
        base = self.predictions.weights(version)
        loaded: list[ItrpModel] = []  # at most one; loaded when the first predictions are not on disk yet

        def load_round(tuned: Path) -> ItrpModel:
            if not loaded:
                loaded.append(self._load_itrp(version, labelled))
            loaded[0].load_tuned_state(load_file(tuned))
            return loaded[0]

        clusters = {}
        for number in rounds:
            tuned = self.tuned_file(version, number)
            found = self.predictions.of_weights(base.tuned(tuned), labelled.shards, partial(load_round, tuned))
            clusters[number] = found.argmax(axis=1)
        return clusters

    def own_clusters(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.int64]:
        """Clusters [n] of the data set's pairs by the version as it is registered: what it would score with."""
        return self.own_probabilities(version, labelled).argmax(axis=1)

    def own_probabilities(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.float32]:
        """[n, k] probabilities of these clusters."""
        return self.predictions.probabilities(version, labelled.shards)

    def class_probabilities(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.float32]:
        """[n, 2] of the data set's pairs by the version as it is registered. Raises UnmappedModelError."""
        if version.mapping is None:
            raise UnmappedModelError(explain_unmapped(str(version), str(version)))
        return mapped_probabilities(self.own_probabilities(version, labelled), version.mapping, 2)

    def cosines(self, encoder: DualEncoder, labelled: LabelledSet) -> NDArray[np.float32]:
        """Text-image cosines [n] of the data set's pairs by a dual encoder."""
        return self.predictions.kept.cosines(encoder, labelled.shards, self.embeddings.device)

    def _load_itrp(self, version: ModelVersion, labelled: LabelledSet) -> ItrpModel:
        """A version with checkpoints of rounds, which ITRp alone leaves."""
        model = self.predictions.load(version)
        if not isinstance(model, ItrpModel):
            raise DataError(f"expected an ITRp model in {version}, found a {type(model).__name__}: its tags are wrong")
        if model.config.image.finetune and self.embeddings.device.type != "cpu":
            # decoded once for all rounds; on a CPU decoding is little beside what the encoder takes
            for shard in labelled.shards:
                cache_pixels(shard, model.config.image.pixels, self.embeddings.folder)
        return model

    def tuned_file(self, version: ModelVersion, number: int) -> Path:
        """The checkpoint's tensors as a local file. Raises NotFoundError when the checkpoint was removed."""
        key = f"{version.tags.get(CHECKPOINTS_TAG, '')}round-{number:04d}/{TUNED_FILE}"
        if self.store.stat(key) is None:
            raise NotFoundError(f"the checkpoint {key} of {version} is missing from the store: train again")
        return local_file(self.store, key, self.cache / "objects")


def own_round(version: ModelVersion) -> int:
    """The round whose weights a version holds."""
    return int(version.tags[ROUND_TAG])
