"""One run of a grid: trained, predicting the labelled set after every round, tracked, and kept so that it is run once."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.jobs.reproduction.desk import RunDesk
from flows.jobs.supervised import open_trainer
from flows.tracking.runs import RunTracker, TrackedData, track_run
from itrp.baselines.config import SupervisedConfig, ZeroShotConfig
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile, cache_pixels
from itrp.experiments import AnyConfig
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.shard_vectors import predict_exactly
from itrp.labels import UNLABELLED
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.progress import ProgressBar
from itrp.reproduction.predictions import AnyPredictions, RunPredictions
from itrp.training.checkpoints import TUNED_FILE, load_tuned, round_folder
from itrp.training.trainer import Trainer
from serving.files import local_shards
from serving.weights import Weights, weights_of
from serving.zero_shot import predict_zero_shot


def predict_run(desk: RunDesk, config: AnyConfig, *, flow_run_id: str | None = None) -> AnyPredictions:
    """The predictions of a configuration: an earlier run's, or those of a run now. A killed run goes on after its last round."""
    known = desk.find(config)
    if known is not None:
        return known
    place = desk.place_of(config)
    place.mkdir(parents=True, exist_ok=True)
    labelled = isinstance(config, SupervisedConfig)
    data = TrackedData(
        desk.labelled.name if labelled else desk.unlabelled.dataset.name,
        desk.labelled.hash if labelled else desk.unlabelled.hash,
        len(desk.labelled.annotations) if labelled else desk.unlabelled.pairs,
        desk.platform.store.url,
    )
    with track_run(
        desk.platform.settings,
        config,
        data,
        identity=place.name,
        resume=True,
        flow_run_id=flow_run_id,
        parent=desk.parent,
    ) as tracker:
        predictions = _run(desk, config, place, tracker, data)
        predictions = replace(predictions, run_id=tracker.run_id)
    predictions.save(place)
    shutil.rmtree(place / "rounds", ignore_errors=True)
    return predictions


def _run(desk: RunDesk, config: AnyConfig, place: Path, tracker: RunTracker, data: TrackedData) -> AnyPredictions:
    if isinstance(config, SupervisedConfig):
        return _predict_supervised(desk, config, tracker, data)
    if isinstance(config, ZeroShotConfig):
        return predict_zero_shot(config, desk.labelled, desk.costs, desk.platform.settings.cache_dir)
    assert isinstance(config, ExperimentConfig)  # no table of the paper has an alignment
    return _predict_itrp(desk, config, place, tracker, data)


def _predict_itrp(
    desk: RunDesk, config: ExperimentConfig, place: Path, tracker: RunTracker, data: TrackedData
) -> RunPredictions:
    """Train all rounds, then predict with each checkpoint: a kill in between costs the round it came in."""
    settings = desk.platform.settings
    shards = local_shards(desk.platform.store, desk.unlabelled.shards, settings.cache_dir)
    cache = EmbeddingCache(desk.embeddings.folder, desk.embeddings.device, config.embed_batch_size)
    trainer = Trainer(
        build_model(config),
        shards,
        cache=cache,
        checkpoints=place / "rounds",
        progress=ProgressBar(),
        compiled=settings.compiled,
    )
    for result in trainer.run(resume=True):
        tracker.log_round(result)
    tracker.log_summary(config, data)
    if config.image.finetune and cache.device.type != "cpu":  # as in `Assessor`
        for shard in desk.labelled.shards:
            cache_pixels(shard, config.image.pixels, cache.folder)
    base = weights_of(trainer.model)
    clusters = [
        _predict_round(trainer.model, base, desk, cache, place / "rounds", number)
        for number in range(1, trainer.rounds + 1)
    ]
    return RunPredictions(
        rounds=np.arange(1, trainer.rounds + 1),
        clusters={config.task: np.stack(clusters)},
        dev_rows=desk.labelled.dev_rows,
        named=False,
        cost=desk.costs.of_system(trainer.model),
    )


def _predict_round(
    model: ItrpModel, base: Weights, desk: RunDesk, cache: EmbeddingCache, rounds: Path, number: int
) -> NDArray[np.int64]:
    """Clusters [n] of the labelled set's pairs by one checkpoint. base: the model's weights in any round."""

    def predict(missing: Sequence[ShardFile]) -> Iterator[NDArray[np.float32]]:
        model.load_tuned_state(load_tuned(rounds, number))
        return predict_exactly(model, missing, cache)

    weights = base.tuned(round_folder(rounds, number) / TUNED_FILE)
    found = desk.predictions.read(weights.fingerprint, cache.device.type, desk.labelled.shards, predict)
    return found.argmax(axis=1)


def _predict_supervised(
    desk: RunDesk, config: SupervisedConfig, tracker: RunTracker, data: TrackedData
) -> RunPredictions:
    trainer = open_trainer(desk.platform.settings, config, desk.labelled)
    # without a held-out part only the trained pairs are left to choose an epoch on
    dev_rows = trainer.held_out_rows if len(trainer.held_out_rows) else trainer.train_rows
    asked = np.concatenate([dev_rows, np.flatnonzero(desk.labelled.annotations.split == "test")])
    rounds = np.full((config.epochs, len(config.tasks), len(desk.labelled.annotations)), UNLABELLED)
    for result in trainer.run():
        tracker.log_round(result)
        classes = trainer.predict(asked)
        for place, task in enumerate(config.tasks):
            rounds[result.round - 1, place, asked] = classes[task]
    tracker.log_summary(config, data)
    return RunPredictions(
        rounds=np.arange(1, config.epochs + 1),
        clusters={task: rounds[:, place] for place, task in enumerate(config.tasks)},
        dev_rows=dev_rows,
        named=True,
        cost=desk.costs.of_system(trainer.model),
    )
