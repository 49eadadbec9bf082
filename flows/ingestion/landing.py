"""Ingest what collectors dropped under landing/: JSONL batches and X API v2 responses."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from flows.ingestion.checking import (
    Fetch,
    Record,
    check_in_order,
    fetch_from,
    open_pool,
    read_at_most,
    split_chunks,
)
from flows.ingestion.commit import Target
from flows.ingestion.group import Batch
from flows.ingestion.known import select_new
from flows.ingestion.pending import SHARD_PAIRS, Pending
from flows.ingestion.report import IngestReport
from infra.catalog import Catalog
from infra.errors import ObjectKeyError, ObjectMissingError
from infra.object_store import ObjectInfo, ObjectStore, Selection
from infra.parallel import map_in_order
from itrp.datasets.tweets import read_tweets
from itrp.datasets.x_api import MAX_RESPONSE_BYTES, PICTURE_ENDINGS, read_response

logger = logging.getLogger(__name__)

LANDING_PREFIX = "landing/"
LANDING_DATASET = "landing"
"""Name of the data set and of the layout."""
BATCH_ENDINGS = (".jsonl", ".json")
"""A key that ends so is a batch file: JSON Lines, or a response of the X API."""

Progress = Callable[[int], None]
"""Called with the number of records handled since the last call."""


def ingest_landing(
    store: ObjectStore,
    catalog: Catalog,
    *,
    start_after: str = "",
    keys: Iterable[str] | None = None,
    flow_run_id: str | None = None,
    shard_size: int = SHARD_PAIRS,
    on_progress: Progress | None = None,
) -> IngestReport:
    """Swallow every batch file that is new or changed, in the order of their keys.

    Only batch files' keys are held in memory, but a server tells of the pictures too: with many of them, give
    `start_after`, such as landing/2026-11-20/, to pass over all earlier keys. What is new there is then not
    found, so this fits collectors whose keys grow with time; a run without it, from time to time, finds the rest.
    With `keys`, as bucket events tell them, nothing is listed: of these, the batch files that are there are taken.

    A failing store or catalog aborts the run (StoreError, CatalogError) with no batch half in: run it again.
    """
    target = Target(catalog, LANDING_DATASET, LANDING_DATASET, flow_run_id)
    pending = Pending(store, target, shard_size)
    if keys is None:
        found = store.list(LANDING_PREFIX, endings=BATCH_ENDINGS, start_after=start_after)
    else:
        found = _find_batches(store, Selection(LANDING_PREFIX, BATCH_ENDINGS, start_after), keys)
    new = select_new(target, store, found)
    logger.info("%d new batch files in %s", len(new), store.url)
    with open_pool() as pool:
        for info in new:
            _ingest_object(store, info, pending, pool, on_progress)
            pending.end_object()
        pending.commit()
    return pending.tally.report()


def _find_batches(store: ObjectStore, selection: Selection, keys: Iterable[str]) -> Iterator[ObjectInfo]:
    """Those of the keys that are selected and lie there, in order."""
    with open_pool() as pool:
        wanted = sorted({key for key in keys if selection.takes(key)})
        yield from (info for info in map_in_order(pool, store.stat, wanted) if info is not None)


@contextmanager
def read_records(store: ObjectStore, key: str) -> Iterator[Iterator[Record]]:
    """The records of a batch file, read as they are asked for. Raises ObjectMissingError when it is gone."""
    with store.open(key) as stream:
        if key.endswith(".jsonl"):
            yield read_tweets(stream, key)
        else:
            data = read_at_most(stream.read, MAX_RESPONSE_BYTES + 1)
            yield read_response(data, key, _find_pictures(store, data, key).get)


def ingest_records(
    records: Iterator[Record],
    fetch: Fetch,
    batch: Batch,
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Progress | None,
) -> None:
    """Check all records of a batch and add them to the group."""
    for chunk in split_chunks(records):
        pending.look_up(chunk)
        for record, outcome in zip(chunk, check_in_order(chunk, fetch, pool), strict=True):
            pending.add(outcome, batch, record.image_key)
        if on_progress:
            on_progress(len(chunk))


def _ingest_object(
    store: ObjectStore,
    info: ObjectInfo,
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Progress | None,
) -> None:
    with ExitStack() as stack:
        try:
            etag = store.identify(info)  # before it is read: what is changed meanwhile is new to the next run
            records = stack.enter_context(read_records(store, info.key))
        except ObjectMissingError:
            logger.warning("%s was removed before it could be read: passed over", info.key)
            return
        batch = pending.begin(info.key, etag)
        ingest_records(records, fetch_from(store), batch, pending, pool, on_progress)


def _find_pictures(store: ObjectStore, data: bytes, key: str) -> dict[str, str | None]:
    """What `_find_picture` gives for every picture that a response names, looked for at once."""
    stems: list[str] = []
    for _ in read_response(data, key, lambda stem: stems.append(stem)):
        pass
    with open_pool() as pool:
        return dict(zip(stems, map_in_order(pool, lambda stem: _find_picture(store, stem), stems), strict=True))


def _find_picture(store: ObjectStore, stem: str) -> str | None:
    """The picture with that name and one of the known endings."""
    for ending in PICTURE_ENDINGS:
        key = f"{stem}.{ending}"
        try:
            if store.stat(key) is not None:
                return key
        except ObjectKeyError:
            return None
    return None
