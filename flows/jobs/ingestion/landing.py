"""Ingest what collectors dropped under landing/: batches of tweets in whatever JSON they write."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from flows.jobs.ingestion.batches import LANDING_PREFIX, find_batches
from flows.jobs.ingestion.checking import Fetch, Record, check_in_order, fetch_from, open_pool, split_chunks
from flows.jobs.ingestion.commit import ConcurrentIngestionError, Target
from flows.jobs.ingestion.group import Batch
from flows.jobs.ingestion.known import select_new
from flows.jobs.ingestion.pending import SHARD_PAIRS, Pending
from flows.jobs.ingestion.report import IngestReport
from flows.jobs.ingestion.rounding import reject_rounded_ids
from infra.catalog.database import Catalog
from infra.errors import ObjectMissingError
from infra.object_store import ObjectInfo, ObjectStore
from itrp.datasets.tweets import read_tweets
from itrp.progress import Count

__all__ = [
    "LANDING_DATASET",
    "LANDING_PREFIX",
    "ingest_landing",
    "ingest_records",
    "read_records",
    "try_again",
]

logger = logging.getLogger(__name__)

LANDING_DATASET = "landing"
"""Name of the data set and of the layout."""
LOST_RACES = 20
"""How often one run reads a group again because another one was committed first."""
LONGEST_PAUSE = 2.0
"""Seconds, before it does."""


def ingest_landing(
    store: ObjectStore,
    catalog: Catalog,
    *,
    start_after: str = "",
    keys: Iterable[str] | None = None,
    flow_run_id: str | None = None,
    shard_size: int = SHARD_PAIRS,
    on_progress: Count | None = None,
) -> IngestReport:
    """Swallow every batch file that is new or changed, in the order of their keys.

    Only batch files' keys are held in memory, but a server tells of the images too: with many of them, give
    `start_after`, such as landing/2026-11-20/, to skip all earlier keys. What is new there is then not
    found, so this fits collectors whose keys grow with time; a run without it, from time to time, finds the rest.
    With `keys`, as bucket events tell them, nothing is listed: of these, the batch files that are there are taken.

    Objects that are neither batch files nor images are counted and named in the report. Where another ingestion is
    committed first, this one reads again what is then left.

    A failing store or catalog aborts the run (StoreError, CatalogError) with no batch half in: run it again.
    """
    target = Target(catalog, LANDING_DATASET, LANDING_DATASET, flow_run_id)
    pending = Pending(store, target, shard_size)
    found = find_batches(store, pending.tally.passed_over, start_after=start_after, keys=keys)
    pending.keep_tally()
    with open_pool() as pool:
        try_again(pending, on_progress, lambda: _ingest_new(store, found, pending, pool, on_progress))
    return pending.tally.report()


def try_again(pending: Pending, on_progress: Count | None, act: Callable[[], None]) -> None:
    """Act; when another ingestion is committed first, forget what is not committed and act again.

    Raises ConcurrentIngestionError when that happens too often.
    """
    for race in range(LOST_RACES + 1):
        try:
            act()
            return
        except ConcurrentIngestionError:
            if race == LOST_RACES:
                raise
            lines = pending.discard()
            if on_progress:
                on_progress(-lines)
            logger.info("another ingestion committed first: reading %d records again", lines)
            time.sleep(random.uniform(0, LONGEST_PAUSE * min(1.0, (race + 1) / 10)))


def _ingest_new(
    store: ObjectStore,
    found: Iterable[ObjectInfo],
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Count | None,
) -> None:
    """Swallow those of the batch files that the catalog does not know."""
    new = select_new(pending.target, store, found)
    logger.info("%d new batch files in %s", len(new), store.url)
    for info in new:
        _ingest_object(store, info, pending, pool, on_progress)
        pending.end_object()
    pending.commit()


@contextmanager
def read_records(store: ObjectStore, key: str) -> Iterator[Iterator[Record]]:
    """The records of a batch file, read as they are asked for. Raises ObjectMissingError when it is gone."""
    with store.open(key) as stream:
        yield read_tweets(stream, key)


def ingest_records(
    records: Iterator[Record],
    fetch: Fetch,
    batch: Batch,
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Count | None,
) -> None:
    """Check all records of a batch and add them to the group."""
    for chunk in split_chunks(reject_rounded_ids(records)):
        pending.look_up(chunk)
        for outcome, image_key in check_in_order(chunk, fetch, pool):
            pending.add(outcome, batch, image_key)
        if on_progress:
            on_progress(len(chunk))


def _ingest_object(
    store: ObjectStore,
    info: ObjectInfo,
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Count | None,
) -> None:
    with ExitStack() as stack:
        try:
            etag = store.identify(info)  # before it is read: what is changed meanwhile is new to the next run
            records = stack.enter_context(read_records(store, info.key))
        except ObjectMissingError:
            pending.tally.passed_over.add(info.key, "removed before it could be read")
            return
        batch = pending.begin(info.key, etag)
        ingest_records(records, fetch_from(store), batch, pending, pool, on_progress)
    if not batch.lines:
        pending.tally.passed_over.add(info.key, "no record in it")
