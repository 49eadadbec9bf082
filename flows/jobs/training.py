"""A training run from a named data set to a registered version: no Prefect in here."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flows.jobs.alignment import run_alignment
from flows.jobs.datasets import KnownData, find_data
from flows.jobs.labelled_head import compare_with_champions, run_labelled_head
from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.seed_agreement import record_agreement
from flows.jobs.supervised import train_supervised
from flows.jobs.trained_run import TrainedRun, open_embeddings, register_trained
from flows.jobs.training_warnings import warn_of_same_answers
from flows.platform import Platform
from flows.tracking.runs import RunTracker, TrackedData, track_run
from infra.catalog.database import Catalog
from infra.catalog.tables import ModelRun
from infra.errors import StoreError
from infra.object_store import ObjectStore
from infra.settings import Settings
from itrp.alignment.config import ALIGNED_CONFIGS
from itrp.baselines.config import SupervisedConfig
from itrp.config import ExperimentConfig, override
from itrp.experiments import find_trainable
from itrp.files import place_folder
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.itrp_model import build_model
from itrp.progress import ProgressBar, ignore_progress
from itrp.training.checkpoints import OPTIMIZER_FILE, round_folder
from itrp.training.distributed import ALONE, Peers
from itrp.training.health import Finding, find_weak_rounds, taught_by
from itrp.training.trainer import RoundResult, Trainer
from serving.assessment import CHECKPOINTS_TAG
from serving.files import local_shards
from serving.registry import ModelVersion

logger = logging.getLogger(__name__)

PROCESSES_TAG = "itrp.processes"
"""How many processes trained a run together; absent for one."""
COMPILED_TAG = "itrp.compiled"
"""Present where the steps were compiled, which changes rounding."""


@dataclass(frozen=True)
class TrainReport:
    """What a training run made."""

    experiment: str
    task: str
    rounds: int
    run_id: str
    model: str
    version: str
    models: list[str] = field(default_factory=list)
    """Every version that was registered: two where one model answers both tasks."""
    warnings: list[str] = field(default_factory=list)
    """What is doubtful about them; the promotion gate rejects them until a person accepts it."""
    notes: list[str] = field(default_factory=list)
    """What a person should know all the same: of a head from a few labels, what was left out, and how it stands against the
    champion."""


def run_training(
    platform: Platform,
    experiment: str,
    data: str,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    flow_run_id: str | None = None,
    peers: Peers = ALONE,
) -> TrainReport:
    """Train a named experiment on a named data set and register the result as the newest version of its task's model.

    An ITRp or vanilla version has no class names yet; evaluation chooses them. An aligned one has them where it tells true
    from shuffled pairs well enough. A supervised one, or a head from few labels, learns from the data set's human labels and has
    them. A model that answers both tasks becomes a version of both. Where other seeds of the experiment are registered, how far
    they agree is logged. With `resume`, continues where a killed run of the same configuration and data stopped (all training
    but ITRp's begins anew). `peers`: the other processes that train along, each in `follow_training`; this is the first of them.
    Raises WrongUseError, NotFoundError, WeightsUnavailableError.
    """
    config = override(find_trainable(experiment), overrides)
    if peers.alone:  # where there are others, the data set stays what it is: they read it too
        refresh_if_reviewed(platform, data, flow_run_id)
    if isinstance(config, SupervisedConfig):
        trained = train_supervised(platform, config, data, flow_run_id=flow_run_id)
    elif isinstance(config, ALIGNED_CONFIGS):
        trained = run_alignment(platform, config, data, flow_run_id=flow_run_id)
    elif isinstance(config, LabelledHeadConfig):
        trained = run_labelled_head(platform, config, data, flow_run_id=flow_run_id)
    else:
        trained = train_unsupervised(platform, config, data, resume=resume, flow_run_id=flow_run_id, peers=peers)
    versions = register_trained(platform, trained)
    _record(platform.catalog, trained, versions[0], flow_run_id)
    trained.discard()
    _compare_seeds(platform, versions)
    findings = [*trained.findings, *warn_of_same_answers(platform, versions)]
    notes = [*trained.notes]
    if isinstance(config, LabelledHeadConfig):
        notes += compare_with_champions(platform, versions, data)
    first = versions[0]
    return TrainReport(
        config.name,
        str(config.task),
        trained.rounds,
        trained.run_id,
        first.name,
        first.version,
        [str(v) for v in versions],
        [str(each) for each in findings],
        notes,
    )


def _compare_seeds(platform: Platform, versions: Sequence[ModelVersion]) -> None:
    """Say and log how far the new versions agree with the other seeds there are."""
    try:
        record_agreement(platform, versions)
    except Exception as error:  # the model is trained and registered: what is found out about it must not undo that
        logger.warning("agreement between seeds is unknown (%s: %s); run `itrp agreement`", type(error).__name__, error)


def train_unsupervised(
    platform: Platform,
    config: ExperimentConfig,
    data: str,
    *,
    resume: bool,
    flow_run_id: str | None,
    peers: Peers = ALONE,
) -> TrainedRun:
    """Algorithm 1, or one vanilla clustering, tracked; a checkpoint a round in the object store."""
    known = find_data(platform.catalog, data)
    trainer = _build_trainer(platform.settings, platform.store, config, known, peers)
    tracked = TrackedData(data, known.hash, sum(shard.pairs for shard in trainer.shards), platform.store.url)
    with track_run(
        platform.settings, config, tracked, identity=trainer.identity, resume=resume, flow_run_id=flow_run_id
    ) as tracker:
        # a folder of its own for each MLflow run: a version's checkpoints are never another run's
        prefix = f"checkpoints/{config.name}-{tracker.run_id}/"
        _prepare_folder(platform.store, prefix, trainer.checkpoints, resume=resume)
        if not peers.alone:
            tracker.client.set_tag(tracker.run_id, PROCESSES_TAG, peers.world)
        if trainer.compiled:
            tracker.client.set_tag(tracker.run_id, COMPILED_TAG, "true")
        peers.broadcast(prefix)  # from here on the others train along
        peers.wait()
        rounds = _follow_rounds(trainer, tracker, platform.store, prefix, resume=resume)
        tracker.log_summary(config, tracked)
    return TrainedRun(
        model=trainer.model,
        known=known,
        run_id=tracker.run_id,
        commit=tracker.commit,
        rounds=len(rounds),
        round=trainer.rounds,
        mapping=None,
        tags={CHECKPOINTS_TAG: prefix},
        findings=_examine_rounds(config, rounds),
        discard=partial(_forget_resuming, platform.store, prefix, trainer),
    )


def _examine_rounds(config: ExperimentConfig, rounds: Sequence[RoundResult]) -> list[Finding]:
    """What `itrp.training.health` finds in them, said."""
    findings = find_weak_rounds(rounds, batch_size=taught_by(config))
    for finding in findings:
        logger.warning("%s", finding)
    return findings


def follow_training(
    platform: Platform, config: ExperimentConfig, data: str, *, resume: bool, peers: Peers, fetches: bool
) -> None:
    """What all other processes do while the first is in `train_unsupervised`: train along; nothing is logged or registered.

    fetches: whether this one brings the checkpoints of a run to be resumed to its machine; for one process on each machine
    but the first.
    """
    trainer = _build_trainer(platform.settings, platform.store, config, find_data(platform.catalog, data), peers)
    trainer.progress = ignore_progress
    prefix: str = peers.broadcast(None)
    if fetches:
        _prepare_folder(platform.store, prefix, trainer.checkpoints, resume=False)  # what lies there may be older
        if resume:
            _prepare_folder(platform.store, prefix, trainer.checkpoints, resume=True)
    peers.wait()
    for _ in trainer.run(resume=resume):
        pass


def _build_trainer(
    settings: Settings, store: ObjectStore, config: ExperimentConfig, known: KnownData, peers: Peers
) -> Trainer:
    cache = settings.cache_dir
    embeddings = open_embeddings(settings, config)
    pairs = sum(shard.pairs for shard in known.shards)
    logger.info(
        "loading the encoders %s and %s, and the shards of %d pairs", config.text.name, config.image.name, pairs
    )
    trainer = Trainer(
        build_model(config),
        local_shards(store, known.shards, cache),
        cache=embeddings,
        checkpoints=Path(),
        progress=ProgressBar(),
        peers=peers,
        compiled=settings.compiled,
    )
    trainer.checkpoints = settings.work_dir / "training" / trainer.identity[:16]
    return trainer


def _prepare_folder(store: ObjectStore, prefix: str, folder: Path, *, resume: bool) -> None:
    """Start from nothing, or from what a killed run left: here, or (on another machine) in the object store."""
    draft = folder.with_name(f".{folder.name}.draft")  # killed in the middle, it has brought nothing
    shutil.rmtree(draft, ignore_errors=True)
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    elif not folder.exists():
        for info in store.list(prefix):
            path = draft / info.key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            with store.open(info.key) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        if draft.exists():
            place_folder(draft, folder)


def _forget_resuming(store: ObjectStore, prefix: str, trainer: Trainer) -> None:
    """Of a registered run its rounds' weights stay; the optimizer's state, which is twice as large, and this folder go."""
    shutil.rmtree(trainer.checkpoints)
    try:
        _delete_optimizer(store, prefix, trainer.rounds)
    except StoreError as error:  # the model is trained and registered
        logger.warning("the optimizer's state under %s is no longer needed, and cannot be deleted: %s", prefix, error)


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
    _delete_optimizer(store, prefix, number - 1)


def _delete_optimizer(store: ObjectStore, prefix: str, number: int) -> None:
    store.delete([f"{prefix}{round_folder(Path(), number).name}/{OPTIMIZER_FILE}"])


def _record(catalog: Catalog, trained: TrainedRun, version: ModelVersion, flow_run_id: str | None) -> None:
    config = trained.model.config
    with catalog.session() as session:
        session.add(
            ModelRun(
                mlflow_run_id=trained.run_id,
                experiment=config.name,
                task=str(config.task),
                seed=config.seed,
                dataset_id=trained.known.dataset.id,
                dataset_hash=trained.known.hash,
                config=config.model_dump(mode="json"),
                rounds=trained.rounds,
                model_name=version.name,
                model_version=version.version,
                git_commit=trained.commit,
                flow_run_id=flow_run_id,
            )
        )
