"""A registered model against human labels: its checkpoints' answers on a labelled data set, ready for
`itrp.evaluation.results`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
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
from itrp.errors import DataError, NotFoundError, UnmappedModelError
from itrp.evaluation.labelled_predictions import predictions_on
from itrp.evaluation.results import TaskPredictions
from itrp.inference.embeddings import EmbeddingCache, keep_array
from itrp.inference.prediction import predict_shards
from itrp.labels import Task
from itrp.models.device import choose_device
from itrp.models.dual_encoder import DualEncoder
from itrp.models.itrp_model import WEIGHTS_FILE, ItrpModel
from itrp.systems import System, load_system
from itrp.training.checkpoints import STATE_FILE, TUNED_FILE
from itrp.training.training_set import list_set_aside
from serving.files import local_file, local_shards
from serving.registry import ROUND_TAG, ModelVersion, Registry, explain_unmapped

CHECKPOINTS_TAG = "itrp.checkpoints"
"""Key prefix of the rounds a version's training run has left."""
SUPERVISED_TAG = "itrp.supervised"
"""On versions that were trained on human labels: their classes have their names, and their epoch is chosen."""


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
    """A data set with human labels. Pairs whose pictures cannot be decoded are in no split, with a warning that counts them.

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
    """Answers of registered models on labelled sets. Answers are kept on disk by (weights, data): rounds are asked once."""

    def __init__(self, store: ObjectStore, registry: Registry, *, cache: Path, device: str) -> None:
        self.store = store
        self.registry = registry
        self.cache = cache
        self.embeddings = EmbeddingCache(cache / "embeddings", choose_device(device))

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
        answers = self.clusters_by_round(version, labelled, rounds)
        return predictions_on(
            labelled.annotations,
            version.model_task,
            set_name,
            answers,
            labelled.dev_rows,
            named=SUPERVISED_TAG in version.tags,
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
        loaded: list[ItrpModel] = []  # at most one; loaded when the first answer is not on disk yet
        answers = {}
        for number in rounds:
            tuned = self.tuned_file(version, number)
            kept = self._answer_file(tuned, labelled)
            if not kept.exists():
                if not loaded:
                    loaded.append(self._load_itrp(version, labelled))
                loaded[0].load_tuned_state(load_file(tuned))
                keep_array(kept, predict_shards(loaded[0], labelled.shards, self.embeddings))
            answers[number] = np.load(kept).argmax(axis=1)
        return answers

    def own_clusters(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.int64]:
        """Clusters [n] of the data set's pairs by the version as it is registered: what it would score with."""
        return self.own_probabilities(version, labelled).argmax(axis=1)

    def own_probabilities(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.float32]:
        """[n, k] probabilities of these clusters."""
        # a network that was taught both tasks is registered under both with the same weights
        kept = self._answer_file(self.registry.fetch(version) / WEIGHTS_FILE, labelled, str(version.model_task))
        if not kept.exists():
            keep_array(kept, predict_shards(self.load(version, labelled), labelled.shards, self.embeddings))
        return np.asarray(np.load(kept))

    def class_probabilities(self, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.float32]:
        """[n, 2] of the data set's pairs by the version as it is registered. Raises UnmappedModelError."""
        if version.mapping is None:
            raise UnmappedModelError(explain_unmapped(str(version), str(version)))
        return mapped_probabilities(self.own_probabilities(version, labelled), version.mapping)

    def joint_cosines(self, encoder: DualEncoder, labelled: LabelledSet) -> NDArray[np.float32]:
        """Text-picture cosines [n] of the data set's pairs by a dual encoder, kept like the models' answers."""
        device = self.embeddings.device
        key = json.dumps(["cosines", encoder.fingerprint(), labelled.hash, device.type])
        kept = self.cache / "answers" / f"{sha256(key.encode()).hexdigest()}.npy"
        if not kept.exists():
            keep_array(kept, encoder.cosines(labelled.shards, device))
        return np.asarray(np.load(kept))

    def load(self, version: ModelVersion, labelled: LabelledSet) -> System:
        """The version's model on this device, with the data set's pictures decoded once for all rounds."""
        model, _ = load_system(self.registry.fetch(version))
        if isinstance(model, ItrpModel) and model.config.image.finetune:
            for shard in labelled.shards:
                cache_pixels(shard, model.config.image.pixels, self.embeddings.folder)
        return model.to(self.embeddings.device)

    def _load_itrp(self, version: ModelVersion, labelled: LabelledSet) -> ItrpModel:
        """`load` for a version with checkpoints of rounds, which ITRp alone leaves."""
        model = self.load(version, labelled)
        if not isinstance(model, ItrpModel):
            raise DataError(f"expected an ITRp model in {version}, found a {type(model).__name__}: its tags are wrong")
        return model

    def tuned_file(self, version: ModelVersion, number: int) -> Path:
        """The checkpoint's tensors as a local file. Raises NotFoundError when the checkpoint was removed."""
        key = f"{version.tags.get(CHECKPOINTS_TAG, '')}round-{number:04d}/{TUNED_FILE}"
        if self.store.stat(key) is None:
            raise NotFoundError(f"the checkpoint {key} of {version} is missing from the store: train again")
        return local_file(self.store, key, self.cache / "objects")

    def _answer_file(self, tuned: Path, labelled: LabelledSet, *asked: str) -> Path:
        with tuned.open("rb") as file:
            digest = sha256(file.read())
        digest.update(json.dumps([labelled.hash, self.embeddings.device.type, *asked]).encode())
        return self.cache / "answers" / f"{digest.hexdigest()}.npy"


def own_round(version: ModelVersion) -> int:
    """The round whose weights a version holds."""
    return int(version.tags[ROUND_TAG])
