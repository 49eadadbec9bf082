"""Training runs of supervised systems, tracked: no Prefect in here."""

import logging

from flows.jobs.datasets import find_data
from flows.jobs.trained_run import TrainedRun, identify_run, open_embeddings
from flows.platform import Platform
from flows.tracking.runs import RunTracker, TrackedData, track_run
from infra.settings import Settings
from itrp.baselines.config import SupervisedConfig
from itrp.baselines.provision import has_stand_ins, provide_stand_ins
from itrp.baselines.supervised_model import build_supervised_model
from itrp.baselines.supervised_training import SupervisedTrainer
from itrp.data.inputs import read_texts
from itrp.progress import ProgressBar
from itrp.training.health import find_small_epochs
from serving.assessment import LabelledSet, load_labelled_set
from serving.registry import SUPERVISED_TAG

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
