"""The flow `ingest-tweets`: what is new in the landing zone, or a data set in a folder, becomes checked shards."""

from typing import Any

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.jobs.datasets import LANDING
from flows.jobs.ingestion.pending import SHARD_PAIRS
from flows.jobs.ingestion.report import IngestReport
from flows.jobs.ingestion.run import Layout, run_ingestion
from flows.platform import Platform
from flows.runtime.events import emit_quarantine, emit_shards
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from infra.catalog.queries import shards_of_run


@io_task("ingest", "ingest {data}")
def ingest_task(platform: Platform, data: str, arguments: dict[str, Any] | None = None) -> IngestReport:
    """Store new tweets as shards of a data set, and emit what was stored and rejected. arguments: of `run_ingestion`."""
    run = current_flow_run_id()
    report = run_ingestion(platform.store, platform.catalog, **(arguments or {}), flow_run_id=run)
    if report.shards and run:
        with platform.catalog.session() as session:
            emit_shards(shards_of_run(session, run))
    emit_quarantine(report, data, platform.settings.quarantine_alert)
    return report


def _describe_artifact(report: IngestReport) -> str:
    """What stands above the table: what its figures mean, and the names of what was skipped."""
    rows = [f"- `{name}`" for name in report.passed_over_names]
    names = ["", "Skipped, the first of them:", "", *rows] if rows else []
    notes = ["", *report.notes] if report.notes else []
    return "\n".join(["lines = pairs + duplicates + quarantined", *notes, *names])


def _name_run() -> str:
    given = flow_run.parameters
    what = "replay" if given["replay"] else given["name"] or given["layout"]
    return f"ingest-tweets/{flow_run.scheduled_start_time:%Y-%m-%dT%H:%M} {what}"


@watched_flow("ingest-tweets", _name_run, hours=6)
def ingest_tweets(
    layout: Layout = "landing",
    path: str | None = None,
    name: str | None = None,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
    replay: bool = False,
    start_after: str = "",
    keys: list[str] | None = None,
    columns: dict[str, str] | None = None,
    shard_pairs: int = SHARD_PAIRS,
) -> IngestReport:
    """Ingest tweets with images.

    Args:
        layout: `landing` reads what collectors dropped under landing/; the others read a folder on this machine.
        path: Twitter100k's folder, ITR's or LTEC's label file, a folder of captions, or a table (CSV, TSV or Parquet).
        name: What the data set shall be called.
        images: ITR, LTEC: the folder of images. Table: where their names start, if not beside it.
        controversial: ITR: the relabelling list.
        texts: ITR: tweet texts (CSV or JSONL), for the label file published without them.
        replay: Try the quarantined tweets of the landing zone again.
        start_after: Landing: skip all keys up to this one, such as landing/2026-11-24/, where each day has its folder.
        keys: Landing: take these batch files and list nothing, as bucket events tell of them.
        columns: Table: which columns hold id, text, image and created_at, as {"text": "full_text"}; usual names are guessed.
        shard_pairs: Pairs a shard. What is done with tweets is done, kept and tried again a shard at a time.
    """
    data = LANDING if layout == "landing" else name or layout
    arguments = {
        "layout": layout, "path": path, "name": name, "images": images, "controversial": controversial, "texts": texts,
        "replay": replay, "start_after": start_after, "keys": keys, "columns": columns,
        "shard_pairs": shard_pairs,
    }  # fmt: skip
    report = ingest_task(open_platform_task(), data, arguments)
    create_table_artifact(
        key="ingest-report",
        table=[
            {"lines": report.lines, "pairs": report.pairs, "duplicates": report.duplicates, "quarantined": report.quarantined,
             "shards": report.shards, "passed over": report.passed_over, "times unread": report.times_unread,
             "data set": data, **report.by_code}
        ],
        description=_describe_artifact(report),
    )  # fmt: skip
    return report
