"""A training run of the aligned family, tracked: no Prefect in here."""

import logging

from flows.jobs.datasets import find_data
from flows.jobs.trained_run import TrainedRun, identify_run, open_embeddings
from flows.platform import Platform
from flows.tracking.runs import TrackedData, track_run
from itrp.alignment.config import AlignedConfig, AnyAlignedConfig
from itrp.inference.runtimes import choose_runtime
from itrp.inference.speed import NetworkSpeed
from itrp.models.aligned_model import AlignedModel
from itrp.progress import ProgressBar
from itrp.training.alignment import build_untrained, train_aligned
from serving.files import local_shards
from serving.registry import ALIGNED_TAG, AREA_TAG

logger = logging.getLogger(__name__)


def run_alignment(platform: Platform, config: AnyAlignedConfig, data: str, *, flow_run_id: str | None) -> TrainedRun:
    """Learn what belongs together from a data set's pairs; no label is used, and its classes have names where it sees enough."""
    known = find_data(platform.catalog, data)
    settings = platform.settings
    tracked = TrackedData(data, known.hash, known.pairs, platform.store.url)
    identity = identify_run(config, known.hash)
    cache = open_embeddings(settings, config)
    with (
        track_run(settings, config, tracked, identity=identity, resume=False, flow_run_id=flow_run_id) as tracker,
        ProgressBar() as progress,
    ):
        model = build_untrained(config).to(cache.device)
        shards = local_shards(platform.store, known.shards, settings.cache_dir)
        measured = [model] if isinstance(model, AlignedModel) else []  # a dual encoder computes its vectors itself
        speed = NetworkSpeed(measured, settings.cache_dir / "checks", lambda: shards[0])
        runtime = choose_runtime(cache.device, settings.precision, speed)
        result = train_aligned(model, shards, cache, progress, runtime)
        tracker.log_alignment(config, tracked, result)
    fitted, findings, on_cpu = result.fitted, result.findings(), cache.device.type == "cpu"
    logger.info(
        "aligned %d pairs: area of true against shuffled held-out pairs %.3f, %.0f %% of the pairs match, %.1f s",
        result.pairs, fitted.area, 100 * fitted.share, sum(result.seconds.values()),
    )  # fmt: skip
    for finding in findings:
        logger.warning("%s", finding)
    return TrainedRun(
        model=model,
        known=known,
        run_id=tracker.run_id,
        commit=tracker.commit,
        rounds=1,
        round=1,
        mapping=result.mapping,
        tags={
            ALIGNED_TAG: "yes",
            AREA_TAG: f"{fitted.area:.4f}",
            "itrp.matched_share": f"{fitted.share:.4f}",
            # a dual encoder's vectors, and all on a GPU, are the cache's own
            "itrp.runtime": runtime.name if isinstance(config, AlignedConfig) and on_cpu else cache.device.type,
        },
        findings=findings,
    )
