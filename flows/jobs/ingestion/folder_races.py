"""Two ingestions of one folder at once: the one that comes second finds the data set stored."""

from typing import Any

from flows.jobs.ingestion.commit import ConcurrentIngestionError
from flows.jobs.ingestion.folders import FolderSource, ingest_folder
from flows.jobs.ingestion.report import IngestReport
from infra.catalog.database import Catalog
from infra.object_store import ObjectStore


def store_folder(store: ObjectStore, catalog: Catalog, name: str, source: FolderSource, **options: Any) -> IngestReport:
    """As `ingest_folder`; where another ingestion was committed first, look again.

    A folder is committed whole, so the second look finds the same data set stored, and does nothing, or another one under
    its name, and raises DataError as ever.
    """
    try:
        return ingest_folder(store, catalog, name, source, **options)
    except ConcurrentIngestionError:
        return ingest_folder(store, catalog, name, source, **options)
