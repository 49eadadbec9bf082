"""The flow `score-tweets`: new tweets ingested, champions pinned once, every unlabelled shard labelled."""

import logging
from collections.abc import Sequence
from typing import Literal

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.artifacts import Progress, link_version, rename_run, show_gallery
from flows.events import tell_labels
from flows.ingest import ingest_landing_task
from flows.io_task import io_task
from flows.orchestration import current_flow_run_id
from flows.platform import Platform
from flows.platform_task import open_platform_task
from flows.progress import ProgressReporter
from flows.scoring_run import find_work, pin_scorer
from flows.watched_flow import watched_flow
from infra.tables import LabelFile, Shard
from itrp.labels import RELATIONS
from itrp.training_health import find_same_labels
from serving.ray_scoring import score_on_ray
from serving.scoring import BatchScorer, ScoreReport, summarise

logger = logging.getLogger(__name__)

Engine = Literal["local", "ray"]

TASK_SHARDS = 25
"""Shards a Prefect task labels: one after the other without a gap, and not a task run in Prefect's database for each."""


@io_task("pin-champions", "pin the champions and find what they have to label")
def pin_task(platform: Platform, *, backfill: bool) -> tuple[BatchScorer, list[Shard]]:
    """The pair of versions this run keeps to, whatever happens to the aliases meanwhile, and its shards."""
    scorer = pin_scorer(platform)
    return scorer, find_work(platform, scorer.pair, backfill=backfill)


@io_task("score-shards", "score {what}")
def score_shards_task(
    scorer: BatchScorer, shards: Sequence[Shard], what: str, tell: "_ScoringProgress"
) -> list[LabelFile]:
    """Label shards one after the other, each file first and its ledger row second; tried again, it skips what is labelled."""
    return [tell(row) for row in scorer.score_all(shards, current_flow_run_id())]


class _ScoringProgress:
    """Shards labelled so far, on the console and on the run's page. Called with each ledger row, which it gives back."""

    def __init__(self, total: int) -> None:
        self._done: set[int] = set()
        self._total = total
        self._console = ProgressReporter()
        self._page = Progress("scoring-progress", "shards labelled") if total else None

    def __call__(self, row: LabelFile) -> LabelFile:
        self._done.add(row.shard_id)
        self._console("shards labelled", len(self._done), self._total)
        if self._page:
            self._page(len(self._done), self._total)
        return row


def _name_run() -> str:
    return f"score-tweets/{flow_run.scheduled_start_time:%Y-%m-%dT%H:%M}"


@watched_flow("score-tweets", _name_run, hours=24)
def score_tweets(backfill: bool = False, engine: Engine = "local", ray_address: str | None = None) -> ScoreReport:
    """Label every newly collected tweet once.

    Args:
        backfill: Label every shard that the current pair of champions has not labelled, also those an older pair has.
        engine: local labels shard after shard in this process; ray spreads the shards over a Ray cluster.
        ray_address: Of the cluster: auto, host:port or ray://host:port; none starts one on this machine.
    """
    platform = open_platform_task()
    ingest_landing_task(platform)
    scorer, work = pin_task(platform, backfill=backfill)
    logger.info("champions: %s", scorer.pair)
    rename_run(f"{_name_run()} {len(work)} shards{' backfill' if backfill else ''}")
    rows = _label(platform, scorer, work, engine, ray_address)
    report = summarise(rows, scorer.pair, scorer.times)
    same = find_same_labels(report.counts, names=(str(scorer.pair.text), str(scorer.pair.image)))
    if same is not None:
        logger.warning("%s", same)
    _show(platform, scorer, work, rows, report)
    tell_labels(report)
    return report


def _label(
    platform: Platform, scorer: BatchScorer, work: Sequence[Shard], engine: Engine, ray_address: str | None
) -> list[LabelFile]:
    """The ledger's rows."""
    tell = _ScoringProgress(len(work))
    if engine == "ray":
        # no task: Ray has its own retries, and its workers may be many machines
        run = current_flow_run_id()
        return [tell(row) for row in score_on_ray(platform.settings, scorer.pair, work, run, address=ray_address)]
    groups = [work[start : start + TASK_SHARDS] for start in range(0, len(work), TASK_SHARDS)]
    rows: list[LabelFile] = []
    for number, group in enumerate(groups):
        first = number * TASK_SHARDS + 1
        rows += score_shards_task(scorer, group, f"shards {first} to {first + len(group) - 1} of {len(work)}", tell)
    return rows


def _show(
    platform: Platform, scorer: BatchScorer, work: Sequence[Shard], rows: Sequence[LabelFile], report: ScoreReport
) -> None:
    create_table_artifact(
        key="label-counts",
        table=[
            {"relation": code, "means": RELATIONS[code], "tweets": report.counts.get(code, 0)} for code in RELATIONS
        ],
        description=f"{report.pairs} tweets in {report.shards} shards; champions: {scorer.pair}",
    )
    for version in (scorer.pair.text, scorer.pair.image):
        link_version(platform.settings, version)
    shards = {shard.id: shard for shard in work}
    show_gallery(platform, [(shards[row.shard_id], row) for row in rows])
