"""The flow `ingest-tweets`: what is new in the landing zone, or a data set in a folder, becomes checked shards."""

from pathlib import Path
from typing import Literal

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.jobs.datasets import LANDING
from flows.jobs.ingestion.folder_races import store_folder
from flows.jobs.ingestion.folders import FolderSource
from flows.jobs.ingestion.landing import ingest_landing
from flows.jobs.ingestion.replay import replay_quarantine
from flows.jobs.ingestion.report import IngestReport
from flows.platform import Platform
from flows.runtime.events import emit_quarantine, emit_shards
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from infra.catalog.queries import shards_of_run
from itrp.datasets.itr import ItrFolder
from itrp.datasets.ltec import LtecFolder
from itrp.datasets.table import TableSource
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import WrongUseError
from itrp.progress import ProgressBar, count_stage

Layout = Literal["landing", "twitter100k", "itr", "ltec", "csv"]


@io_task("ingest-landing", "ingest landing")
def ingest_landing_task(
    platform: Platform, *, replay: bool = False, start_after: str = "", keys: list[str] | None = None
) -> IngestReport:
    """Swallow new landing objects, or try the quarantined records again."""
    parts, run = (platform.store, platform.catalog), current_flow_run_id()
    with ProgressBar() as bar:
        count = count_stage(bar, "tweets checked")
        if replay:
            report = replay_quarantine(*parts, flow_run_id=run, on_progress=count)
        else:
            report = ingest_landing(*parts, start_after=start_after, keys=keys, flow_run_id=run, on_progress=count)
    _tell(platform, report, LANDING)
    return report


@io_task("ingest-folder", "ingest {name}")
def ingest_folder_task(platform: Platform, name: str, source: FolderSource) -> IngestReport:
    """Store a folder as a data set."""
    with ProgressBar() as bar:
        count = count_stage(bar, "tweets checked")
        report = store_folder(
            platform.store, platform.catalog, name, source, flow_run_id=current_flow_run_id(), on_progress=count
        )
    _tell(platform, report, name)
    return report


def _tell(platform: Platform, report: IngestReport, data: str) -> None:
    run = current_flow_run_id()
    if report.shards and run:
        with platform.catalog.session() as session:
            emit_shards(shards_of_run(session, run))
    emit_quarantine(report, data, platform.settings.quarantine_alert)


def open_folder(
    layout: Layout,
    folder: str | None,
    *,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
    columns: dict[str, str] | None = None,
) -> FolderSource:
    """The folder of a data set. Raises WrongUseError when a path is not given and DataError when it does not hold the layout."""
    if folder is None:
        raise WrongUseError(f"the layout {layout} needs a path: itrp ingest {layout} PATH --name NAME")
    if layout == "csv":
        return _open_table(Path(folder), images, {**(columns or {})})
    if layout == "twitter100k":
        return Twitter100kFolder(Path(folder))
    if images is None:
        pictures = "T<tweet id>.jpg" if layout == "itr" else "the unpacked pictures"
        raise WrongUseError(f"itrp ingest {layout} needs --images DIR, the folder that holds {pictures}")
    if layout == "ltec":
        if controversial or texts:
            raise WrongUseError("itrp ingest ltec takes neither --controversial nor --texts: they belong to ITR")
        return LtecFolder(Path(folder), Path(images))
    optional = [Path(path) if path else None for path in (controversial, texts)]
    return ItrFolder(Path(folder), Path(images), *optional)


def _open_table(path: Path, images: str | None, columns: dict[str, str]) -> TableSource:
    known = {"id", "text", "image", "created_at"}
    if not columns.keys() <= known:
        raise WrongUseError(
            f"expected columns for {', '.join(sorted(known))}, found {', '.join(sorted(columns))[:200]}"
        )
    return TableSource(path, **columns, folder=Path(images) if images else None)


def _describe_artifact(report: IngestReport) -> str:
    """What stands above the table: what its figures mean, and the names of what was passed over."""
    rows = [f"- `{name}`" for name in report.passed_over_names]
    names = ["", "Passed over, the first of them:", "", *rows] if rows else []
    return "\n".join(["lines = pairs + duplicates + quarantined", *names])


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
) -> IngestReport:
    """Ingest tweets with pictures.

    Args:
        layout: `landing` reads what collectors dropped under landing/; the others read a folder on this machine.
        path: Twitter100k's folder, ITR's or LTEC's label file, or a table (CSV, TSV or Parquet).
        name: What the data set shall be called.
        images: ITR, LTEC: the folder of pictures. Table: where their names start, if not beside it.
        controversial: ITR: the relabelling list.
        texts: ITR: tweet texts (CSV or JSONL), for the label file published without them.
        replay: Try the quarantined tweets of the landing zone again.
        start_after: Landing: pass over all keys up to this one, such as landing/2026-11-24/, where each day has its folder.
        keys: Landing: take these batch files and list nothing, as bucket events tell of them.
        columns: Table: which columns hold id, text, image and created_at, as {"text": "full_text"}; usual names are guessed.
    """
    platform = open_platform_task()
    if layout == "landing":
        report = ingest_landing_task(platform, replay=replay, start_after=start_after, keys=keys)
    else:
        if not name:
            raise WrongUseError(f"the layout {layout} needs a name for the data set: --name NAME")
        source = open_folder(layout, path, images=images, controversial=controversial, texts=texts, columns=columns)
        report = ingest_folder_task(platform, name, source)
    create_table_artifact(
        key="ingest-report",
        table=[
            {"lines": report.lines, "pairs": report.pairs, "duplicates": report.duplicates, "quarantined": report.quarantined,
             "shards": report.shards, "passed over": report.passed_over, "times unread": report.times_unread,
             "data set": LANDING if layout == "landing" else name, **report.by_code}
        ],
        description=_describe_artifact(report),
    )  # fmt: skip
    return report
