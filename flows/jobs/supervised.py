"""Training runs from a labelled data set, tracked: supervised systems, and heads from a few labels. No Prefect in here."""

import logging
from collections.abc import Sequence

from flows.jobs.datasets import find_data
from flows.jobs.model_predictions import open_assessor
from flows.jobs.trained_run import TrainedRun, identify_run, open_embeddings
from flows.platform import Platform
from flows.tracking.runs import RunTracker, TrackedData, track_run
from infra.settings import Settings
from itrp.baselines.config import SupervisedConfig
from itrp.baselines.provision import has_stand_ins, provide_stand_ins
from itrp.baselines.supervised_model import build_supervised_model
from itrp.baselines.supervised_training import SupervisedTrainer
from itrp.clustering.mapping import apply_mapping
from itrp.data.annotations import select_set
from itrp.data.inputs import read_texts
from itrp.errors import DataError
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.labelled_head import build_labelled_head_model
from itrp.progress import ProgressBar
from itrp.training.health import find_small_epochs
from itrp.training.labelled_head import NO_LABELS_NEEDED, choose_labels, train_labelled_head
from serving.assessment import Assessor, LabelledSet, load_labelled_set
from serving.gate import decide_on_labels
from serving.registry import CHAMPION, SUPERVISED_TAG, ModelVersion

logger = logging.getLogger(__name__)


def train_supervised(platform: Platform, config: SupervisedConfig, data: str, *, flow_run_id: str | None) -> TrainedRun:
    """Train on the labelled train split; the epoch with the best held-out F1 is kept. Its classes have their names already."""
    labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
    trainer = open_trainer(platform.settings, config, labelled)
    pairs = len(trainer.train_rows) + len(trainer.held_out_rows)
    tracked = TrackedData(data, labelled.hash, pairs, platform.store.url)
    identity = identify_run(config, labelled.hash)
    with track_run(
        platform.settings, config, tracked, identity=identity, resume=False, flow_run_id=flow_run_id
    ) as tracker:
        _follow_epochs(trainer, tracker)
        tracker.log_summary(config, tracked)
    findings = find_small_epochs(len(trainer.train_rows), batch_size=config.batch_size)
    for finding in findings:
        logger.warning("%s", finding)
    best = trainer.keep_best()
    return TrainedRun(
        model=trainer.model,
        known=find_data(platform.catalog, data),
        run_id=tracker.run_id,
        commit=tracker.commit,
        rounds=config.epochs,
        round=best.round,
        mapping=(0, 1),
        tags={SUPERVISED_TAG: "yes", "itrp.stand_ins": "yes" if has_stand_ins(config) else "no"},
        findings=findings,
    )


def open_trainer(settings: Settings, config: SupervisedConfig, labelled: LabelledSet) -> SupervisedTrainer:
    """A trainer on this machine's device, with stand-ins where the configuration asks for them."""
    logger.info("loading the network %s, reading %d pairs", config.name, sum(shard.pairs for shard in labelled.shards))
    texts = [text for shard in labelled.shards for text in read_texts(shard)]
    provided = provide_stand_ins(config, settings.cache_dir / "stand-ins", texts)
    if provided is not config:
        logger.warning("%s: parts of it are stand-ins with random weights, its figures mean nothing", config.name)
    cache = open_embeddings(settings, config)
    return SupervisedTrainer(
        build_supervised_model(provided),
        labelled.shards,
        labelled.annotations,
        cache=cache,
        progress=ProgressBar(),
    )


def _follow_epochs(trainer: SupervisedTrainer, tracker: RunTracker) -> None:
    for result in trainer.run():
        held_out = ", ".join(f"{task} {f1:.1%}" for task, f1 in result.held_out_f1.items()) or "nothing held out"
        logger.info(
            "epoch %d of %d: loss %.4f, held-out F1 %s, %.1f s",
            result.round, result.rounds, result.loss, held_out, sum(result.seconds.values()),
        )  # fmt: skip
        tracker.log_round(result)


def run_labelled_head(
    platform: Platform, config: LabelledHeadConfig, data: str, *, flow_run_id: str | None
) -> TrainedRun:
    """Learn from the labels of a data set's train split, and from all its pairs without theirs. Its classes have their names.

    Raises DataError, saying what to do, for a data set without labels or with too few of them for any task.
    """
    known, settings = find_data(platform.catalog, data), platform.settings
    if known.dataset.annotations_key is None:
        raise DataError(
            f"expected a data set with human labels, found none in {data!r}: label some pairs and ingest them with their labels "
            f"(itrp ingest itr, itrp ingest csv); {NO_LABELS_NEEDED}"
        )
    labelled = load_labelled_set(platform.store, platform.catalog, data, settings.cache_dir)
    choose_labels(config, labelled.annotations)  # before anything is loaded or logged
    tracked = TrackedData(data, labelled.hash, known.pairs, platform.store.url)
    identity = identify_run(config, labelled.hash)
    cache = open_embeddings(settings, config)
    with (
        track_run(settings, config, tracked, identity=identity, resume=False, flow_run_id=flow_run_id) as tracker,
        ProgressBar() as progress,
    ):
        model = build_labelled_head_model(config).to(cache.device)
        result = train_labelled_head(model, labelled.shards, labelled.annotations, cache, progress)
        tracker.log_labelled_head(config, tracked, result)
    for note in result.notes:
        logger.warning("%s", note)
    return TrainedRun(
        model=model.eval(),
        known=known,
        run_id=tracker.run_id,
        commit=tracker.commit,
        rounds=1,
        round=1,
        mapping=(0, 1),
        tags={
            SUPERVISED_TAG: "yes",
            **{f"itrp.labels.{task}": len(head.labels) for task, head in result.heads.items()},
        },
        notes=[*result.notes, *(describe_head(str(task), dict(head.figures())) for task, head in result.heads.items())],
    )


def describe_head(task: str, figures: dict[str, float]) -> str:
    """What cross-validation says of a head, in one line."""
    zeros, ones = figures["labels_0"], figures["labels_1"]
    return (
        f"{task}: {zeros + ones:.0f} labels ({zeros:.0f} of class 0, {ones:.0f} of class 1); cross-validated weighted F1 "
        f"{figures['cv_f1']:.3f}, AUC {figures['cv_auc']:.3f}, expected calibration error {figures['cv_ece']:.3f} (by chance "
        f"alone {figures['cv_ece_chance']:.3f})"
    )


def compare_with_champions(platform: Platform, versions: Sequence[ModelVersion], data: str) -> list[str]:
    """One line a version: how it stands against its task's champion on the held-out labels of a data set.

    The gate's own comparison, which `itrp promote` makes too; nothing is moved or written.
    """
    labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
    assessor = open_assessor(platform)
    return [_compare(platform, assessor, version, labelled) for version in versions]


def _compare(platform: Platform, assessor: Assessor, version: ModelVersion, labelled: LabelledSet) -> str:
    champion = platform.registry.find(version.task, CHAMPION)
    if champion is None or champion.mapping is None:
        return (
            f"{version.task}: no champion yet; `itrp promote {version.task}` compares it with the most frequent class"
        )
    name = str(champion) if SUPERVISED_TAG in champion.tags else f"the label-free champion {champion}"
    try:
        rows, labels = select_set(labelled.annotations, version.task, "raw")
    except DataError:
        return f"{version.task}: {labelled.name} has no labels in a test split, so whether it is better than {name} is unknown"
    assert version.mapping is not None
    own, rival = (
        apply_mapping(assessor.own_clusters(each, labelled), each.mapping or ())[rows] for each in (version, champion)
    )
    decision = decide_on_labels(labels, own, rival, rival_name=name)
    verdict = "better than" if decision.passed else "not better than"
    return f"{version.task}: {version} is {verdict} {name}: {decision.reason}"
