"""Ingest a data set that lies in a local folder: Twitter100k's, ITR's and LTEC's layouts, captions, and tables."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from sqlalchemy import select

from flows.jobs.data_names import check_data_name
from flows.jobs.datasets import REVIEWED
from flows.jobs.ingestion.checking import Record, open_pool
from flows.jobs.ingestion.commit import Target
from flows.jobs.ingestion.landing import LANDING_DATASET, ingest_records
from flows.jobs.ingestion.pending import SHARD_PAIRS, Pending
from flows.jobs.ingestion.report import IngestReport
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset
from infra.catalog.tables import LandingObject
from infra.object_store import ObjectStore
from itrp.data.annotations import Annotations
from itrp.errors import DataError, WrongUseError
from itrp.progress import Count

logger = logging.getLogger(__name__)


class FolderSource(Protocol):
    """A data set in a folder; `Twitter100kFolder`, `ItrFolder`, `LtecFolder`, `RatedCaptions`, `MatchedCaptions` and
    `TableSource` are six."""

    @property
    def layout(self) -> str:
        """twitter100k, itr, ltec, rated-captions, captions-match or csv."""
        ...

    @property
    def label_path(self) -> Path:
        """The file that lists the tweets."""
        ...

    @property
    def source_files(self) -> Sequence[Path]:
        """The files whose content makes this source what it is, `label_path` first."""
        ...

    def candidates(self) -> Iterator[Record]:
        """The records, line i of the source with `line` i."""
        ...

    def read_image(self, key: str) -> bytes:
        """An image's bytes. Raises MissingImageError."""
        ...

    def annotations(self) -> Annotations | None:
        """Human labels, row i for the record with `line` i + 1; None when there are none."""
        ...


def ingest_folder(
    store: ObjectStore,
    catalog: Catalog,
    name: str,
    source: FolderSource,
    *,
    flow_run_id: str | None = None,
    shard_size: int = SHARD_PAIRS,
    on_progress: Count | None = None,
) -> IngestReport:
    """Store a folder as the data set `name`, all of it or nothing. A second run does nothing.

    Raises DataError when the name stands for another source already, WrongUseError for a name that cannot be
    one.
    """
    _check_name(catalog, name)
    target = Target(catalog, name, source.layout, flow_run_id)
    fingerprint = fingerprint_source(source)
    if _is_stored(target, fingerprint, source):
        logger.info("the data set %s holds %s already", name, source.label_path)
        return IngestReport()
    pending = Pending(store, target, shard_size)
    batch = pending.begin(str(source.label_path.resolve()), fingerprint)
    with open_pool() as pool:
        ingest_records(source.candidates(), source.read_image, batch, pending, pool, on_progress)
    pending.flush()
    pending.group.annotations_key = _write_annotations(pending, source.annotations())
    pending.commit()
    return replace(pending.tally.report(), notes=getattr(source, "notes", ()))


def fingerprint_source(source: FolderSource) -> str:
    """The source's own SHA-256 (hex) where it has one, as a table has that takes some columns only; else its files'."""
    own = getattr(source, "fingerprint", None)
    return own if isinstance(own, str) else fingerprint_files(source.source_files)


def fingerprint_files(paths: Sequence[Path]) -> str:
    """SHA-256 (hex) of a file's content; of several files, of their hashes one after the other."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _check_name(catalog: Catalog, name: str) -> None:
    if name == REVIEWED:
        raise WrongUseError(
            f"expected a name of your own, found {name!r}, which is made of people's labels: choose another"
        )
    if name == LANDING_DATASET:
        raise WrongUseError(f"expected a name of your own, found {name!r}, which is the landing zone's: choose another")
    with catalog.session() as session:
        is_known = get_dataset(session, name) is not None
    if not is_known:  # earlier versions took other names, and what has one keeps it
        check_data_name(name)


def _is_stored(target: Target, fingerprint: str, source: FolderSource) -> bool:
    """Whether the data set is there with this very source. Raises DataError when it is there with another."""
    with target.catalog.session() as session:
        dataset = get_dataset(session, target.name)
        if dataset is None:
            return False
        query = select(LandingObject.key, LandingObject.etag).where(LandingObject.dataset_id == dataset.id)
        found = [(key, etag) for key, etag in session.execute(query)]
        layout = dataset.layout
    if layout == source.layout and fingerprint in [etag for _, etag in found]:
        return True
    held = ", ".join(key for key, _ in found)[:300] or "nothing"
    raise DataError(
        f"expected the data set {target.name} to hold {source.label_path} as it is now, found the layout "
        f"{layout} with {held}: choose another name with --name"
    )


def _write_annotations(pending: Pending, annotations: Annotations | None) -> str | None:
    """Put the labels of the stored pairs, in stored order, under their hash; None when there are none."""
    if annotations is None:
        return None
    rows = np.array([tweet.line - 1 for tweet in pending.group.tweets], dtype=np.intp)
    data = annotations.take(rows).to_parquet()
    key = f"shards/annotations/{hashlib.sha256(data).hexdigest()}.parquet"
    pending.store.put_if_absent(key, data)
    return key
