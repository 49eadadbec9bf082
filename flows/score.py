"""The flow `score-tweets`: new tweets ingested, champions pinned once, every unlabelled shard labelled."""

import logging
from collections.abc import Iterator, Sequence
from typing import Literal

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.ingest import ingest_landing_task
from flows.jobs.scoring import (
    Backlog,
    ScoringReport,
    find_archive,
    find_new,
    list_set_aside,
    open_scorer,
    pin_champions,
)
from flows.platform import Platform
from flows.runtime.artifacts import ProgressArtifact, link_version, rename_run, show_gallery
from flows.runtime.events import emit_labels, emit_set_aside
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from infra.catalog.tables import LabelFile, Shard
from itrp.labels import RELATIONS
from itrp.progress import ProgressBar
from itrp.training.health import find_same_labels
from serving.champions import Champions
from serving.ray_scorer import score_on_ray
from serving.registry import ModelPair
from serving.scorer import BatchScorer, ShardsFailedError, summarise

logger = logging.getLogger(__name__)

Engine = Literal["local", "ray"]

TASK_SHARDS = 25
"""Shards a Prefect task labels: one after the other without a gap, and not a task run in Prefect's database for each."""


@io_task("pin-champions", "pin the champions and find what they have to label")
def pin_task(platform: Platform, *, backfill: bool) -> tuple[Champions, Backlog]:
    """The pair of versions this run keeps to, whatever happens to the aliases meanwhile, and its shards."""
    champions = pin_champions(platform)
    work, archive = find_new(platform), find_archive(platform, champions.pair)
    if archive:
        _tell_archive(champions, len(work), len(archive), backfill)
    return champions, Backlog(platform, work, archive if backfill else ())


@io_task("score-shards", "score {what}")
def score_shards_task(
    scorer: BatchScorer, shards: Sequence[Shard], what: str, tell: "_ScoringProgress", faults: dict[str, str]
) -> list[LabelFile]:
    """Label shards one after the other, each file first and its ledger row second; tried again, it skips what is labelled."""
    return [tell(row) for row in scorer.score_all(shards, current_flow_run_id(), faults)]


def _tell_archive(champions: Champions, new: int, archive: int, backfill: bool) -> None:
    behind = f"{archive} shards of the archive have labels of older pairs and none of this one ({champions.pair})"
    after = f": they are labelled after the {new} new ones; ITRP_BACKFILL=false keeps scoring to new shards"
    logger.info("%s%s", behind, after if backfill else ": `itrp score --backfill` labels them")


class _ScoringProgress:
    """Shards labelled so far, on the console and on the run's page. Called with each ledger row, which it gives back."""

    def __init__(self, backlog: Backlog) -> None:
        self._done: set[int] = set()
        self._backlog = backlog
        self._console = ProgressBar()
        self._page = ProgressArtifact("scoring-progress", "shards labelled") if backlog.total else None

    def __call__(self, row: LabelFile) -> LabelFile:
        self._done.add(row.shard_id)
        self._console("shards labelled", len(self._done), self._backlog.total)
        if self._page:
            self._page(len(self._done), self._backlog.total)
        return row


def _name_run() -> str:
    return f"score-tweets/{flow_run.scheduled_start_time:%Y-%m-%dT%H:%M}"


@watched_flow("score-tweets", _name_run, hours=24)
def score_tweets(backfill: bool = False, engine: Engine = "local", ray_address: str | None = None) -> ScoringReport:
    """Label every newly collected tweet once, and then the archive as far as the champions have not labelled it.

    What is to be done follows from the champions' pair and the ledger alone: whatever killed a run, the next one goes on.

    Args:
        backfill: Label the archive with the current pair of champions also where ITRP_BACKFILL=false keeps runs to new shards.
        engine: local labels shard after shard in this process; ray spreads the shards over a Ray cluster.
        ray_address: Of the cluster: auto, host:port or ray://host:port; none starts one on this machine.
    """
    platform = open_platform_task()
    ingested = ingest_landing_task(platform)
    backfill = backfill or platform.settings.backfill
    champions, backlog = pin_task(platform, backfill=backfill)
    logger.info("champions: %s", champions.pair)
    rename_run(f"{_name_run()} {backlog.total} shards{' backfill' if backlog.archive else ''}")
    scorer = open_scorer(platform, champions.pair)
    rows, failure = _label(platform, scorer, backlog, engine, ray_address)
    summary = summarise(rows, scorer.pair, scorer.times)
    same = find_same_labels(summary.counts, names=(str(scorer.pair.text), str(scorer.pair.image)))
    if same is not None:
        logger.warning("%s", same)
    report = ScoringReport(
        **vars(summary),
        ingested=ingested,
        warnings=[*map(str, champions.stopgaps), *([str(same)] if same else [])],
        set_aside_tweets=list_set_aside(platform, rows),
    )
    _show(platform, scorer.pair, backlog, rows, report)
    emit_labels(report)
    emit_set_aside(report)
    if failure is not None:
        raise failure
    return report


def _label(
    platform: Platform, scorer: BatchScorer, backlog: Backlog, engine: Engine, ray_address: str | None
) -> tuple[list[LabelFile], ShardsFailedError | None]:
    """The ledger's rows, and what is told of shards that could not be labelled once all others are."""
    tell, rows = _ScoringProgress(backlog), list[LabelFile]()
    labelled: Iterator[LabelFile]
    try:
        if engine == "ray":
            labelled = map(tell, _label_on_ray(platform, scorer, backlog, ray_address))
        else:
            labelled = _label_here(scorer, backlog, tell)
        for row in labelled:
            rows.append(row)
    except ShardsFailedError as error:
        return rows, error
    return rows, None


def _label_on_ray(
    platform: Platform, scorer: BatchScorer, backlog: Backlog, ray_address: str | None
) -> Iterator[LabelFile]:
    # no task: Ray has its own retries, and its workers may be many machines
    work = backlog.take(backlog.total)
    return score_on_ray(platform.settings, scorer.pair, work, current_flow_run_id(), address=ray_address)


def _label_here(scorer: BatchScorer, backlog: Backlog, tell: _ScoringProgress) -> Iterator[LabelFile]:
    """Group after group. Raises ShardsFailedError at the end, or when too many shards have failed."""
    faults: dict[str, str] = {}
    first = 1
    while group := backlog.take(TASK_SHARDS):
        what = f"shards {first} to {first + len(group) - 1} of {backlog.total}"
        yield from score_shards_task(scorer, group, what, tell, faults)
        first += len(group)
    if faults:
        raise ShardsFailedError(faults, backlog.total)


def _show(
    platform: Platform, pair: ModelPair, backlog: Backlog, rows: Sequence[LabelFile], report: ScoringReport
) -> None:
    create_table_artifact(
        key="label-counts",
        table=[
            {"relation": code, "means": RELATIONS[code], "tweets": report.counts.get(code, 0)} for code in RELATIONS
        ],
        description="\n\n".join(
            [f"{report.pairs} tweets in {report.shards} shards; champions: {pair}", *report.warnings]
        ),
    )
    if report.set_aside:
        create_table_artifact(
            key="set-aside",
            table=report.set_aside_tweets,
            description=f"{report.set_aside} tweets could not be labelled; the others of their shards are",
        )
    for version in (pair.text, pair.image):
        link_version(platform.settings, version)
    show_gallery(platform, [(backlog.shards[row.shard_id], row) for row in rows])
