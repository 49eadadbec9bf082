"""The flow `score-tweets`: new tweets ingested, champions pinned once, every unlabelled shard labelled."""

from collections.abc import Sequence

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.ingest import ingest_task
from flows.jobs.datasets import LANDING
from flows.jobs.ingestion.report import IngestReport
from flows.jobs.scoring import (
    GROUP_SHARDS,
    Backlog,
    Engine,
    Keep,
    ScoringReport,
    ScoringSteps,
    label_shards,
    list_set_aside,
    pin_work,
    run_scoring,
)
from flows.platform import Platform
from flows.runtime.artifacts import ProgressArtifact, link_version, rename_run, show_gallery
from flows.runtime.events import emit_labels, emit_set_aside
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from infra.catalog.database import Catalog
from infra.catalog.tables import LabelFile, Shard
from itrp.labels import RELATIONS
from serving.champions import Champions
from serving.scorer import BatchScorer


@io_task("pin-champions", "pin the champions and find what to label")
def pin_task(platform: Platform, data: str, *, backfill: bool) -> tuple[Champions, Backlog]:
    """Choose models and shards."""
    return pin_work(platform.registry, platform.catalog, data, backfill=backfill)


@io_task("score-shards", "score {what}")
def score_shards_task(
    scorer: BatchScorer, shards: Sequence[Shard], what: str, keep: Keep, faults: dict[str, str]
) -> None:
    """Label a group of shards; tried again, it skips what is labelled."""
    label_shards(scorer, shards, keep, faults, current_flow_run_id())


@io_task("find-new-shards", "find what has come in meanwhile")
def take_task(backlog: Backlog) -> list[Shard]:
    """The next group. Where the catalog is away, nothing is given out yet: tried again, it is the same one."""
    return backlog.take(GROUP_SHARDS)


@io_task("list-set-aside", "list tweets without labels")
def list_set_aside_task(catalog: Catalog, rows: Sequence[LabelFile]) -> list[dict[str, str]]:
    """Tweets that could not be labelled, for the report."""
    return list_set_aside(catalog, rows)


class _TaskSteps(ScoringSteps):
    """Each step a Prefect task; progress, tables and links on the run's page; events."""

    def __init__(self) -> None:
        self._page: ProgressArtifact | None = None

    def ingest(self, platform: Platform) -> IngestReport:
        return ingest_task(platform, LANDING)

    def pin(self, platform: Platform, data: str, *, backfill: bool) -> tuple[Champions, Backlog]:
        return pin_task(platform, data, backfill=backfill)

    def begin(self, backlog: Backlog) -> None:
        rename_run(f"{_name_run()} {backlog.total} shards{' backfill' if backlog.archive else ''}")
        if backlog.total:
            self._page = ProgressArtifact("scoring-progress", "shards labelled")

    def take(self, backlog: Backlog) -> list[Shard]:
        return take_task(backlog)

    def list_set_aside(self, catalog: Catalog, rows: Sequence[LabelFile]) -> list[dict[str, str]]:
        return list_set_aside_task(catalog, rows)

    def label(
        self, scorer: BatchScorer, shards: Sequence[Shard], what: str, keep: Keep, faults: dict[str, str]
    ) -> None:
        score_shards_task(scorer, shards, what, keep, faults)

    def show(self, done: int, total: int) -> None:
        if self._page:
            self._page(done, total)

    def end(
        self,
        platform: Platform,
        champions: Champions,
        backlog: Backlog,
        rows: Sequence[LabelFile],
        report: ScoringReport,
    ) -> None:
        _show(platform, champions, backlog, rows, report)
        emit_labels(report)
        emit_set_aside(report)


def _name_run() -> str:
    return f"score-tweets/{flow_run.scheduled_start_time:%Y-%m-%dT%H:%M}"


@watched_flow("score-tweets", _name_run, hours=24)
def score_tweets(
    backfill: bool = False, engine: Engine = "local", ray_address: str | None = None, data: str | None = None
) -> ScoringReport:
    """Label every newly collected tweet once, and then the archive as far as the champions have not labelled it.

    What is to be done follows from the champions' pair and the ledger alone: whatever killed a run, the next one goes on.

    Args:
        backfill: Label the archive with the current pair of champions also where ITRP_BACKFILL=false keeps runs to new shards.
        engine: local labels shard after shard in this process; ray spreads the shards over a Ray cluster.
        ray_address: Of the cluster: auto, host:port or ray://host:port; none starts one on this machine.
        data: Ingest nothing, and label all of this stored data set that the champions have not labelled.
    """
    return run_scoring(
        open_platform_task(), backfill, engine, ray_address, data, flow_run_id=current_flow_run_id(), steps=_TaskSteps()
    )


def _show(
    platform: Platform, champions: Champions, backlog: Backlog, rows: Sequence[LabelFile], report: ScoringReport
) -> None:
    pair = champions.pair
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
            description=f"{report.set_aside} tweets could not be labelled; the others of their shards have labels",
        )
    for version in (pair.text, pair.image):
        link_version(platform.settings, version)
    show_gallery(platform, [(backlog.shards[row.shard_id], row) for row in rows])
