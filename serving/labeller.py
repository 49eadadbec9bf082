"""Both task models over shard after shard. What does not change is computed once: the vectors of encoders that neither task
has fine-tuned, and each model's predictions, so that a new version of one model costs its own fine-tuned encoder alone."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile, read_ids
from itrp.data.set_aside import read_set_aside
from itrp.inference.embeddings import EmbeddingCache, keep_array
from itrp.inference.int8 import Calibration, draw_calibration
from itrp.inference.label_check import settle_runtime
from itrp.inference.pipeline import Embedded, Job, count_workers
from itrp.inference.prepared_model import PreparedModel, prepare_model
from itrp.inference.runtimes import Precision, Runtime, choose_runtimes
from itrp.inference.shard_vectors import ShardVectors, predict_exactly
from itrp.inference.speed import NetworkSpeed
from itrp.inference.timings import PipelineTimings
from itrp.labels import Task
from itrp.models.device import Vectors, choose_device
from itrp.models.encoder_pair import EncoderPair
from serving.labels import SetAsideRow
from serving.prediction_cache import PredictionCache
from serving.predictor import Predictor
from serving.weights import read_weights

logger = logging.getLogger(__name__)

ClassProbabilities = dict[Task, NDArray[np.float64]]
"""[n, 2] by task, in stored order."""


class ShardLabels(NamedTuple):
    """What the two models say of a shard's tweets: those whose images can be decoded, in stored order, and the others."""

    ids: list[str]
    probabilities: ClassProbabilities
    """[len(ids), 2] each."""
    set_aside: list[SetAsideRow]


@dataclass(frozen=True)
class _TaskModel:
    """A task's model as it was loaded, and made ready if it is a pair of encoders (others predict as they are)."""

    predictor: Predictor
    prepared: PreparedModel | None
    weights: str
    """`serving.weights.Weights.fingerprint`."""


class ShardLabeller:
    """The two task models on one device.

    precision: what `itrp.inference.runtimes.choose_runtimes` takes; the runtime is torch in fp32 where the models' labels on
    examples would not stay what they are. examples: finds pairs of the data the models were trained on; runtimes are measured and
    tried on them, once, and int8 is made from others of them. runtime: one to take as it is, untried.
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
        quick = [predictor.model for predictor in predictors.values() if isinstance(predictor.model, EncoderPair)]

        def calibrate() -> Calibration | None:
            shard = examples() if examples is not None else None
            return draw_calibration(shard, cache / "int8") if shard is not None else None

        speed = NetworkSpeed(quick, cache / "checks", examples)
        self.runtime = runtime or settle_runtime(
            quick, choose_runtimes(chosen, precision, speed, calibrate), cache / "checks", examples
        )
        self.times = times or PipelineTimings()
        self.cache = EmbeddingCache(cache / "embeddings", chosen)
        self.predictions = PredictionCache(cache)
        self.vectors = ShardVectors(self.runtime, self.cache.folder, self.times)
        self.models = {task: self._prepare(predictors[task], folder) for task, folder in folders.items()}
        logger.info("labelling on %s, %d batches at once", self.runtime.name, count_workers(self.runtime))

    def label(self, shard: ShardFile) -> tuple[list[str], ClassProbabilities]:
        """Tweet ids and class probabilities [n, 2] by task, in stored order, without tweets that are set aside."""
        return self.finish(next(self.embed([shard])))[:2]

    def embed(self, shards: Iterable[ShardFile]) -> Iterator[Embedded]:
        """What the two models have yet to compute about each shard, in order; `finish` makes labels of it."""
        return self.vectors.run(self._plan(shard) for shard in shards)

    def finish(self, embedded: Embedded) -> ShardLabels:
        """Tweet ids and class probabilities by task; keeps what other models or runs can use.

        A tweet whose image cannot be decoded is set aside. Raises what kept the whole shard from being embedded.
        """
        shard = embedded.job.shard
        vectors = self.vectors.complete(embedded, self._open_models(shard))
        clusters = {task: self._classify(model, shard, vectors) for task, model in self.models.items()}
        # asked last: a supervised model reads the images itself
        rejected = read_set_aside(shard.hash, self.cache.folder) or ()
        ids, kept = read_ids(shard), np.ones(shard.pairs, dtype=bool)
        kept[[each.row for each in rejected]] = False
        named = {task: self.models[task].predictor.name_classes(found)[kept] for task, found in clusters.items()}
        set_aside = [SetAsideRow(each.row, ids[each.row], each.code, each.reason) for each in rejected]
        return ShardLabels([ids[row] for row in np.flatnonzero(kept)], named, set_aside)

    def _prepare(self, predictor: Predictor, folder: Path) -> _TaskModel:
        model, weights = predictor.model, read_weights(folder).fingerprint
        if not isinstance(model, EncoderPair):
            return _TaskModel(predictor, None, weights)
        model.kept_in = self.cache.folder
        return _TaskModel(predictor, prepare_model(model, self.runtime, count_workers(self.runtime)), weights)

    def _plan(self, shard: ShardFile) -> Job:
        return self.vectors.plan(shard, self._open_models(shard))

    def _open_models(self, shard: ShardFile) -> list[PreparedModel]:
        """Those whose predictions of the shard nobody has kept."""
        return [
            model.prepared
            for model in self.models.values()
            if model.prepared is not None and not self._file(model, shard).exists()
        ]

    def _classify(self, model: _TaskModel, shard: ShardFile, vectors: dict[str, Vectors]) -> NDArray[np.float32]:
        """[n, k] cluster probabilities, from the cache where they lie there."""
        system = model.predictor.model
        if model.prepared is None:
            return self.predictions.read(
                model.weights,
                self.cache.device.type,
                [shard],
                lambda missing: predict_exactly(system, missing, self.cache),
            )
        path = self._file(model, shard)
        if not path.exists():
            keep_array(path, model.prepared.classify(vectors, shard))
        return np.load(path)

    def _file(self, model: _TaskModel, shard: ShardFile) -> Path:
        return self.predictions.file(model.weights, self.runtime.name, shard)
