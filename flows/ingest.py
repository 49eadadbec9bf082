"""The flow `ingest-tweets`: what is new in the landing zone, or a data set in a folder, becomes checked shards."""

from pathlib import Path
from typing import Literal

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.data_sets import LANDING
from flows.ingestion.folders import FolderSource, ingest_folder
from flows.ingestion.landing import ingest_landing
from flows.ingestion.replay import replay_quarantine
from flows.ingestion.report import IngestReport
from flows.orchestration import current_flow_run_id
from flows.platform import Platform, open_platform
from flows.progress import CountReporter
from itrp.datasets.itr import ItrFolder
from itrp.datasets.ltec import LtecFolder
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import WrongUseError

Layout = Literal["landing", "twitter100k", "itr", "ltec"]


@task(name="ingest-landing", task_run_name="ingest landing", cache_policy=NO_CACHE, persist_result=False)
def ingest_landing_task(platform: Platform, *, replay: bool) -> IngestReport:
    """Swallow new landing objects, or try the quarantined records again."""
    run = replay_quarantine if replay else ingest_landing
    with CountReporter("tweets checked") as count:
        return run(platform.store, platform.catalog, flow_run_id=current_flow_run_id(), on_progress=count)


@task(name="ingest-folder", task_run_name="ingest {name}", cache_policy=NO_CACHE, persist_result=False)
def ingest_folder_task(platform: Platform, name: str, source: FolderSource) -> IngestReport:
    """Store a folder as a data set."""
    with CountReporter("tweets checked") as count:
        return ingest_folder(
            platform.store, platform.catalog, name, source, flow_run_id=current_flow_run_id(), on_progress=count
        )


def open_folder(
    layout: Layout,
    folder: str | None,
    *,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
) -> FolderSource:
    """The folder of a data set. Raises WrongUseError when a path is not given and DataError when it does not hold the layout."""
    if folder is None:
        raise WrongUseError(f"the layout {layout} needs a path: itrp ingest {layout} PATH --name NAME")
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


@flow(name="ingest-tweets", flow_run_name="ingest-tweets/{layout}", persist_result=False)
def ingest_tweets(
    layout: Layout = "landing",
    path: str | None = None,
    name: str | None = None,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
    replay: bool = False,
) -> IngestReport:
    """Ingest tweets with pictures.

    Args:
        layout: `landing` reads what collectors dropped under landing/; the others read a folder on this machine.
        path: Twitter100k's folder, or ITR's or LTEC's label file.
        name: What the data set shall be called.
        images: ITR, LTEC: the folder of pictures.
        controversial: ITR: the relabelling list.
        texts: ITR: tweet texts (CSV or JSONL), for the label file published without them.
        replay: Try the quarantined tweets of the landing zone again.
    """
    platform = open_platform()
    if layout == "landing":
        report = ingest_landing_task(platform, replay=replay)
    else:
        if not name:
            raise WrongUseError(f"the layout {layout} needs a name for the data set: --name NAME")
        source = open_folder(layout, path, images=images, controversial=controversial, texts=texts)
        report = ingest_folder_task(platform, name, source)
    create_table_artifact(
        key="ingest-report",
        table=[
            {"lines": report.lines, "pairs": report.pairs, "duplicates": report.duplicates, "quarantined": report.quarantined,
             "shards": report.shards, "data set": LANDING if layout == "landing" else name, **report.by_code}
        ],
        description="lines = pairs + duplicates + quarantined",
    )  # fmt: skip
    return report
