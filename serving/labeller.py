"""Both task models over shard after shard. What does not change is computed once: the vectors of encoders that neither task
has fine-tuned, and each model's answers, so that a new version of one model costs its own fine-tuned encoder alone."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile, read_ids
from itrp.data.set_aside import keep_set_aside, read_set_aside
from itrp.inference.embeddings import EmbeddingCache, keep_array, vector_file
from itrp.inference.int8 import Calibration, draw_calibration
from itrp.inference.label_check import settle_runtime
from itrp.inference.pipeline import Embedded, EmbeddingStream, Job, count_workers
from itrp.inference.prediction import predict_shard
from itrp.inference.prepared_model import PreparedModel, prepare_model
from itrp.inference.runtimes import Precision, Runtime, choose_runtimes
from itrp.inference.timings import PipelineTimings
from itrp.labels import Task
from itrp.models.device import Vectors, choose_device
from itrp.models.itrp_model import ItrpModel
from serving.labels import SetAsideRow
from serving.predictor import Predictor

logger = logging.getLogger(__name__)

Answers = dict[Task, NDArray[np.float64]]
"""Class probabilities [n, 2] by task, in stored order."""


class ShardLabels(NamedTuple):
    """What the two models say of a shard's tweets: those whose pictures can be decoded, in stored order, and the others."""

    ids: list[str]
    answers: Answers
    """[len(ids), 2] each."""
    set_aside: list[SetAsideRow]


@dataclass(frozen=True)
class _TaskModel:
    """A task's model as it was loaded, and made ready if it is an ITRp model (supervised systems answer as they are)."""

    predictor: Predictor
    prepared: PreparedModel | None


class ShardLabeller:
    """The two task models on one device.

    precision: what `itrp.inference.runtimes.choose_runtimes` takes; the runtime is torch in fp32 where the models'
    labels on examples
    would not stay what they are. examples: finds pairs of the data the models were trained on; asked for int8 only, which is
    made from them and tried on them. runtime: one to take as it is, untried.
    Raises UnmappedModelError for a model without class names, and WrongUseError for a precision that cannot be had here.
    """

    def __init__(
        self,
        folders: Mapping[Task, Path],
        *,
        cache: Path,
        device: str,
        precision: Precision = "auto",
        examples: Callable[[], ShardFile | None] | None = None,
        runtime: Runtime | None = None,
        times: PipelineTimings | None = None,
    ) -> None:
        chosen = choose_device(device)
        predictors = {task: Predictor.load(folder, str(chosen)) for task, folder in folders.items()}
        for predictor in predictors.values():
            predictor.require_mapping()
        quick = [predictor.model for predictor in predictors.values() if isinstance(predictor.model, ItrpModel)]

        def calibrate() -> Calibration | None:
            shard = examples() if examples is not None else None
            return draw_calibration(shard, cache / "int8") if shard is not None else None

        self.runtime = runtime or settle_runtime(quick, choose_runtimes(chosen, precision, calibrate), cache / "checks")
        self.times = times or PipelineTimings()
        self.cache = EmbeddingCache(cache / "embeddings", chosen)
        self.answers = cache / "answers"
        self.models = {task: self._prepare(predictor) for task, predictor in predictors.items()}
        logger.info("labelling on %s, %d batches at once", self.runtime.name, count_workers(self.runtime))

    def label(self, shard: ShardFile) -> tuple[list[str], Answers]:
        """Tweet ids and class probabilities [n, 2] by task, in stored order, without tweets that are set aside."""
        return self.finish(next(self.embed([shard])))[:2]

    def embed(self, shards: Iterable[ShardFile]) -> Iterator[Embedded]:
        """What the two models have yet to compute about each shard, in order; `finish` makes labels of it."""
        return EmbeddingStream(self.runtime, self.times).run(self._plan(shard) for shard in shards)

    def finish(self, embedded: Embedded) -> ShardLabels:
        """Tweet ids and class probabilities by task; keeps what other models or runs can use.

        A tweet whose picture cannot be decoded is set aside. Raises what kept the whole shard from being embedded.
        """
        if embedded.error is not None:
            raise embedded.error
        shard = embedded.job.shard
        if embedded.set_aside:
            keep_set_aside(shard.hash, embedded.set_aside, self.cache.folder)
        vectors = self._complete(shard, embedded.vectors)
        clusters = {task: self._classify(model, shard, vectors) for task, model in self.models.items()}
        # asked last: a supervised model reads the pictures itself
        rejected = read_set_aside(shard.hash, self.cache.folder) or ()
        ids, kept = read_ids(shard), np.ones(shard.pairs, dtype=bool)
        kept[[each.row for each in rejected]] = False
        answers = {task: self.models[task].predictor.name_classes(found)[kept] for task, found in clusters.items()}
        set_aside = [SetAsideRow(each.row, ids[each.row], each.code, each.reason) for each in rejected]
        return ShardLabels([ids[row] for row in np.flatnonzero(kept)], answers, set_aside)

    def _prepare(self, predictor: Predictor) -> _TaskModel:
        model = predictor.model
        if not isinstance(model, ItrpModel):
            return _TaskModel(predictor, None)
        return _TaskModel(predictor, prepare_model(model, self.runtime, count_workers(self.runtime)))

    def _plan(self, shard: ShardFile) -> Job:
        """The encoders whose vectors are needed and not kept; each once, though both models may have it."""
        texts, images = {}, {}
        for model in self._open_models(shard):
            texts[model.text.fingerprint] = model.text
            images[model.image.fingerprint] = model.image
        return Job(
            shard,
            [embedder for name, embedder in texts.items() if not self._vector_file(name, shard).exists()],
            [embedder for name, embedder in images.items() if not self._vector_file(name, shard).exists()],
        )

    def _open_models(self, shard: ShardFile) -> list[PreparedModel]:
        """Those that have not answered about the shard before."""
        prepared = [model.prepared for model in self.models.values() if model.prepared is not None]
        return [model for model in prepared if not self._answer_file(model, shard).exists()]

    def _complete(self, shard: ShardFile, computed: dict[str, Vectors]) -> dict[str, Vectors]:
        """Add the vectors that were kept, and keep those of untouched encoders."""
        vectors = dict(computed)
        for model in self._open_models(shard):
            for name in (model.text.fingerprint, model.image.fingerprint):
                path = self._vector_file(name, shard)
                if name not in vectors:
                    vectors[name] = np.load(path, mmap_mode="r")
                elif name in model.untouched and not path.exists():
                    keep_array(path, vectors[name])
        return vectors

    def _classify(self, model: _TaskModel, shard: ShardFile, vectors: dict[str, Vectors]) -> NDArray[np.float32]:
        """[n, k] cluster probabilities, from the cache where they lie there."""
        if model.prepared is None:
            return predict_shard(model.predictor.model, shard, self.cache)
        path = self._answer_file(model.prepared, shard)
        if not path.exists():
            keep_array(path, model.prepared.classify(vectors))
        return np.load(path)

    def _vector_file(self, encoder: str, shard: ShardFile) -> Path:
        return vector_file(self.cache.folder, encoder, self.runtime.name, shard)

    def _answer_file(self, model: PreparedModel, shard: ShardFile) -> Path:
        key = json.dumps(["labels", model.identity, shard.hash, self.runtime.name])
        return self.answers / f"{sha256(key.encode()).hexdigest()}.npy"
