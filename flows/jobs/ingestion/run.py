"""One ingestion from its arguments to its report: the landing zone, its quarantine, or a data set in a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from flows.jobs.ingestion.folder_races import store_folder
from flows.jobs.ingestion.folders import FolderSource
from flows.jobs.ingestion.landing import ingest_landing
from flows.jobs.ingestion.pending import SHARD_PAIRS
from flows.jobs.ingestion.replay import replay_quarantine
from flows.jobs.ingestion.report import IngestReport
from infra.catalog.database import Catalog
from infra.object_store.objects import ObjectStore
from itrp.datasets.captions_match import MatchedCaptions
from itrp.datasets.itr import ItrFolder
from itrp.datasets.ltec import LtecFolder
from itrp.datasets.rated_captions import RatedCaptions
from itrp.datasets.table import TableSource
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import WrongUseError
from itrp.progress import ProgressBar, count_stage

Layout = Literal["landing", "twitter100k", "itr", "ltec", "rated-captions", "captions-match", "csv"]
CAPTIONS: dict[str, type[RatedCaptions] | type[MatchedCaptions]] = {
    "rated-captions": RatedCaptions,
    "captions-match": MatchedCaptions,
}
"""Layouts of a folder with pairs.csv and images/."""


def run_ingestion(
    store: ObjectStore,
    catalog: Catalog,
    layout: Layout = "landing",
    path: str | None = None,
    name: str | None = None,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
    replay: bool = False,
    start_after: str = "",
    keys: Iterable[str] | None = None,
    columns: Mapping[str, str] | None = None,
    shard_pairs: int = SHARD_PAIRS,
    *,
    flow_run_id: str | None = None,
) -> IngestReport:
    """Ingest what is new in the landing zone, or the folder at `path` as the data set `name`. Progress is shown.

    The arguments are those of the flow `ingest-tweets`. Raises WrongUseError for arguments that do not belong together,
    DataError for a folder without the layout, StoreError and CatalogError.
    """
    if layout == "landing":
        with ProgressBar() as bar:
            count = count_stage(bar, "tweets checked")
            if replay:
                return replay_quarantine(
                    store, catalog, flow_run_id=flow_run_id, shard_size=shard_pairs, on_progress=count
                )
            return ingest_landing(
                store,
                catalog,
                start_after=start_after,
                keys=keys,
                flow_run_id=flow_run_id,
                shard_size=shard_pairs,
                on_progress=count,
            )
    if not name:
        raise WrongUseError(f"the layout {layout} needs a name for the data set: --name NAME")
    source = open_folder(layout, path, images=images, controversial=controversial, texts=texts, columns=columns)
    with ProgressBar() as bar:
        count = count_stage(bar, "tweets checked")
        return store_folder(
            store, catalog, name, source, flow_run_id=flow_run_id, shard_size=shard_pairs, on_progress=count
        )


def open_folder(
    layout: Layout,
    folder: str | None,
    *,
    images: str | None = None,
    controversial: str | None = None,
    texts: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> FolderSource:
    """The folder of a data set. Raises WrongUseError when a path is not given and DataError when it does not hold the layout."""
    if folder is None:
        raise WrongUseError(f"the layout {layout} needs a path: itrp ingest {layout} PATH --name NAME")
    if layout == "csv":
        return _open_table(Path(folder), images, {**(columns or {})})
    if layout == "twitter100k":
        return Twitter100kFolder(Path(folder))
    if layout in CAPTIONS:
        if images or controversial or texts:
            raise WrongUseError(
                f"itrp ingest {layout} takes neither --images nor --controversial nor --texts: its folder holds pairs.csv and "
                "images/"
            )
        return CAPTIONS[layout](Path(folder))
    if images is None:
        wanted = "T<tweet id>.jpg" if layout == "itr" else "the unpacked images"
        raise WrongUseError(f"itrp ingest {layout} needs --images DIR, the folder that holds {wanted}")
    if layout == "ltec":
        if controversial or texts:
            raise WrongUseError("itrp ingest ltec takes neither --controversial nor --texts: they belong to ITR")
        return LtecFolder(Path(folder), Path(images))
    optional = [Path(path) if path else None for path in (controversial, texts)]
    return ItrFolder(Path(folder), Path(images), *optional)


def _open_table(path: Path, images: str | None, columns: dict[str, str]) -> TableSource:
    known = ("created_at", "id", "image", "text")
    if not columns.keys() <= {*known}:
        raise WrongUseError(f"expected columns for {', '.join(known)}, found {', '.join(sorted(columns))[:200]}")
    return TableSource(
        path,
        id=columns.get("id"),
        text=columns.get("text"),
        image=columns.get("image"),
        created_at=columns.get("created_at"),
        folder=Path(images) if images else None,
        numbered=False,
    )
