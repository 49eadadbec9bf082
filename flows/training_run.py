"""A training run from a named data set to a registered version: no Prefect in here."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.data_sets import KnownData, find_data
from flows.platform import Platform
from flows.progress import ProgressReporter
from flows.tracking import RunTracker, TrackedData, track_run
from infra.object_store import ObjectStore
from infra.tables import ModelRun
from itrp.checkpoints import OPTIMIZER_FILE, round_folder
from itrp.config import ExperimentConfig, override
from itrp.embeddings import EmbeddingCache, choose_device
from itrp.experiments import find_experiment
from itrp.model import build_model
from itrp.training import RoundResult, Trainer
from serving.assessment import CHECKPOINTS_TAG
from serving.files import local_shards
from serving.registration import register_model
from serving.registry import ModelVersion

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What a training run made."""

    experiment: str
    task: str
    rounds: int
    run_id: str
    model: str
    version: str


def run_training(
    platform: Platform,
    experiment: str,
    data: str,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    flow_run_id: str | None = None,
) -> TrainReport:
    """Train a named experiment on a named data set and register the last round as the newest version.

    The version has no class names yet; evaluation chooses them. With `resume`, goes on where a killed run of the same
    configuration and data stopped. Raises WrongUseError, NotFoundError, WeightsUnavailableError.
    """
    config = override(find_experiment(experiment), overrides)
    known = find_data(platform, data)
    trainer = _build_trainer(platform, config, known)
    tracked = TrackedData(data, known.hash, sum(shard.pairs for shard in trainer.shards), platform.store.url)
    with track_run(
        platform.settings, config, tracked, identity=trainer.identity, resume=resume, flow_run_id=flow_run_id
    ) as tracker:
        # a folder of its own for each MLflow run: a version's checkpoints are never another run's
        prefix = f"checkpoints/{config.name}-{tracker.run_id}/"
        _prepare_folder(platform.store, prefix, trainer.checkpoints, resume=resume)
        rounds = _follow_rounds(trainer, tracker, platform.store, prefix, resume=resume)
        tracker.log_summary(config, tracked)
    version = _register(platform, trainer, tracker, known, prefix)
    _record(platform, config, known, tracker, version, len(rounds), flow_run_id)
    shutil.rmtree(trainer.checkpoints)
    return TrainReport(config.name, str(config.task), len(rounds), tracker.run_id, version.name, version.version)


def _build_trainer(platform: Platform, config: ExperimentConfig, known: KnownData) -> Trainer:
    cache = platform.settings.cache_dir
    embeddings = EmbeddingCache(cache / "embeddings", choose_device(platform.settings.device), config.embed_batch_size)
    trainer = Trainer(
        build_model(config),
        local_shards(platform.store, known.shards, cache),
        cache=embeddings,
        checkpoints=Path(),
        progress=ProgressReporter(),
    )
    trainer.checkpoints = platform.settings.work_dir / "training" / trainer.identity[:16]
    return trainer


def _prepare_folder(store: ObjectStore, prefix: str, folder: Path, *, resume: bool) -> None:
    """Start from nothing, or from what a killed run left: here, or (on another machine) in the object store."""
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    elif not folder.exists():
        for info in store.list(prefix):
            path = folder / info.key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            with store.open(info.key) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _follow_rounds(
    trainer: Trainer, tracker: RunTracker, store: ObjectStore, prefix: str, *, resume: bool
) -> list[RoundResult]:
    rounds = []
    for result in trainer.run(resume=resume):
        agreement = f"{result.agreement:.1%}" if result.agreement is not None else "-"
        logger.info(
            "round %d of %d: loss %.4f, clusters %s, trained on %s, agreement %s, %.1f s",
            result.round, result.rounds, result.loss, list(result.cluster_sizes), list(result.sampled_sizes), agreement,
            sum(result.seconds.values()),
        )  # fmt: skip
        tracker.log_round(result)
        _upload_round(store, prefix, trainer.checkpoints, result.round)
        rounds.append(result)
    return rounds


def _upload_round(store: ObjectStore, prefix: str, folder: Path, number: int) -> None:
    """Copy a round into the object store; its JSON goes last, so that a round that has one is whole."""
    source = round_folder(folder, number)
    target = f"{prefix}{source.name}/"
    for path in sorted(source.iterdir(), key=lambda path: path.suffix == ".json"):
        if store.stat(target + path.name) is None:
            store.put(target + path.name, path)
    store.delete([f"{prefix}{round_folder(folder, number - 1).name}/{OPTIMIZER_FILE}"])


def _register(platform: Platform, trainer: Trainer, tracker: RunTracker, known: KnownData, prefix: str) -> ModelVersion:
    tags = {
        CHECKPOINTS_TAG: prefix,
        "itrp.experiment": trainer.config.name,
        "itrp.seed": trainer.config.seed,
        "itrp.dataset": known.dataset.name,
        "itrp.dataset_hash": known.hash,
        "itrp.git_commit": tracker.commit,
    }
    with tempfile.TemporaryDirectory(dir=platform.settings.work_dir) as folder:
        saved = Path(folder) / "model"
        trainer.model.save(saved, mapping=None, extra={"round": trainer.rounds})
        return register_model(platform.registry, saved, tracker.run_id, trainer.config.task, tags=tags)


def _record(
    platform: Platform,
    config: ExperimentConfig,
    known: KnownData,
    tracker: RunTracker,
    version: ModelVersion,
    rounds: int,
    flow_run_id: str | None,
) -> None:
    with platform.catalog.session() as session:
        session.add(
            ModelRun(
                mlflow_run_id=tracker.run_id,
                experiment=config.name,
                task=str(config.task),
                seed=config.seed,
                dataset_id=known.dataset.id,
                dataset_hash=known.hash,
                config=config.model_dump(mode="json"),
                rounds=rounds,
                model_name=version.name,
                model_version=version.version,
                git_commit=tracker.commit,
                flow_run_id=flow_run_id,
            )
        )
