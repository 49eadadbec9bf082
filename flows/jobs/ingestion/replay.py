"""Try the quarantined records of the landing zone again."""

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import select

from flows.jobs.ingestion.checking import CHUNK, Record, check_in_order, fetch_from, open_pool
from flows.jobs.ingestion.commit import Target
from flows.jobs.ingestion.group import Batch
from flows.jobs.ingestion.known import is_unchanged
from flows.jobs.ingestion.landing import LANDING_DATASET, read_records, try_again
from flows.jobs.ingestion.line_set import LineSet
from flows.jobs.ingestion.pending import SHARD_PAIRS, Pending
from flows.jobs.ingestion.report import IngestReport
from flows.jobs.ingestion.rounding import reject_rounded_ids
from infra.catalog.database import Catalog
from infra.catalog.tables import Dataset, LandingObject, QuarantinedTweet, QuarantineRest
from infra.object_store import ObjectStore
from itrp.data.pairs import Pair, Rejection
from itrp.progress import Count

_OF_WHOLE_LINES = ("record_not_json", "record_too_long", "id_missing")
"""Reasons for which a line or a file of many tweets was one record before those were read."""
_RENAME = "put it under another name and ingest it, to store the others"
ROWS_AT_ONCE = 1000
"""Rows of the quarantine that are read together."""

_GONE = "expected the batch file this record stood in, found none: put it back, then replay again"
_REPLACED = (
    "expected the batch file this record stood in, found it replaced: ingest the landing zone, which takes "
    "in the new file on its own, then replay again"
)


@dataclass(frozen=True, slots=True)
class _Row:
    """An unresolved record of the quarantine."""

    id: int | None
    """None when it has no row of its own."""
    object_key: str
    line: int
    tweet_id: str | None
    image_key: str | None
    code: str

    def reject(self, reason: str) -> Rejection:
        """Rejected as before, with what is the matter now."""
        return Rejection(self.object_key, self.line, self.code, reason, self.tweet_id, self.image_key)


def replay_quarantine(
    store: ObjectStore,
    catalog: Catalog,
    *,
    flow_run_id: str | None = None,
    shard_size: int = SHARD_PAIRS,
    on_progress: Count | None = None,
) -> IngestReport:
    """Read each unresolved record again at its object and line and check it again.

    What passes is stored (or is found stored already) and resolved; what does not keeps its row, with the
    reason of today. In the report, `lines` counts the records tried. A failing store aborts the run with
    nothing half in.
    """
    target = Target(catalog, LANDING_DATASET, LANDING_DATASET, flow_run_id)
    pending = Pending(store, target, shard_size)
    with open_pool() as pool:
        try_again(pending, on_progress, lambda: _replay_all(store, pending, pool, on_progress))
    return pending.tally.report()


def _replay_all(store: ObjectStore, pending: Pending, pool: ThreadPoolExecutor, on_progress: Count | None) -> None:
    for batch in _load_batches(pending.target):
        if pending.has_replayed(batch):
            continue
        _replay_batch(store, batch, pending, pool, on_progress)
        pending.end_object()
    pending.commit()


def _load_batches(target: Target) -> list[Batch]:
    """Landing objects with unresolved records, by their keys.

    An object that was put again has records of each version. The newest comes first, because a record of an
    older version is resolved only as a copy of a stored tweet: its line may hold another record today.
    """
    rows = select(QuarantinedTweet.landing_object_id).where(QuarantinedTweet.resolved_at.is_(None))
    rest = select(QuarantineRest.landing_object_id)
    query = (
        select(LandingObject.id, LandingObject.key, LandingObject.etag, LandingObject.lines)
        .join(Dataset, Dataset.id == LandingObject.dataset_id)
        .where(Dataset.name == target.name, LandingObject.id.in_(rows.union(rest)))
        .order_by(LandingObject.key, LandingObject.id.desc())
    )
    with target.catalog.session() as session:
        return [Batch(key, etag, id_, lines) for id_, key, etag, lines in session.execute(query)]


def _iter_rows(target: Target, batch: Batch) -> Iterator[_Row]:
    """The unresolved rows of a landing object by their lines, a piece at a time."""
    last = -1
    while True:
        query = (
            select(QuarantinedTweet)
            .where(QuarantinedTweet.landing_object_id == batch.id, QuarantinedTweet.resolved_at.is_(None))
            .where(QuarantinedTweet.line > last)
            .order_by(QuarantinedTweet.line)
            .limit(ROWS_AT_ONCE)
        )
        with target.catalog.session() as session:
            found = [*session.scalars(query)]
        for item in found:
            yield _Row(item.id, item.object_key, item.line, item.tweet_id, item.image_key, item.code)
        if len(found) < ROWS_AT_ONCE:
            return
        last = found[-1].line


def _load_rest(target: Target, batch: Batch) -> dict[str, LineSet]:
    query = select(QuarantineRest.code, QuarantineRest.lines).where(QuarantineRest.landing_object_id == batch.id)
    with target.catalog.session() as session:
        return {code: LineSet.unpack(lines) for code, lines in session.execute(query)}


def _iter_rest(batch: Batch, code: str, lines: LineSet) -> Iterator[_Row]:
    """Records without a row, by their lines."""
    return (_Row(None, batch.key, line, None, None, code) for line in lines)


def _replay_batch(
    store: ObjectStore, batch: Batch, pending: Pending, pool: ThreadPoolExecutor, on_progress: Count | None
) -> None:
    """Try the unresolved records of one version of one batch file."""
    info = store.stat(batch.key)
    replaced = info is not None and not is_unchanged(store, info, batch.etag)
    rest = _load_rest(pending.target, batch)
    sources = [_iter_rows(pending.target, batch), *(_iter_rest(batch, code, rest[code]) for code in sorted(rest))]
    rows = heapq.merge(*sources, key=lambda row: row.line)
    read_otherwise = False
    with ExitStack() as stack:
        records = _Counted(iter(()))
        if info is not None:
            records = _Counted(reject_rounded_ids(stack.enter_context(read_records(store, batch.key))))
        for chunk in _split(_match(rows, records, gone=info is None), CHUNK):
            pending.look_up(record for _, record in chunk)
            checked = check_in_order((record for _, record in chunk), fetch_from(store), pool)
            for (row, _), (outcome, image_key) in zip(chunk, checked, strict=True):
                if replaced and not _is_copy(row, outcome, pending):
                    outcome, image_key = row.reject(_REPLACED), row.image_key
                read_otherwise |= row.code in _OF_WHOLE_LINES and isinstance(outcome, Pair)
                pending.retry(row.id, outcome, batch, image_key)
            if on_progress:
                on_progress(len(chunk))
        if read_otherwise and not replaced and records.count_all() > batch.lines:
            reason = f"an earlier version found {batch.lines} records in it, of {records.count} today: {_RENAME}"
            pending.tally.passed_over.add(batch.key, reason)
    pending.replayed(batch)


class _Counted(Iterator[Record]):
    """Records, and how many there have been."""

    def __init__(self, records: Iterator[Record]) -> None:
        self.count = 0
        self._records = records

    def __next__(self) -> Record:
        record = next(self._records)
        self.count += 1
        return record

    def count_all(self) -> int:
        """How many there are to the end, which they are read to."""
        for _ in self:
            pass
        return self.count


def _is_copy(row: _Row, outcome: Pair | Rejection, pending: Pending) -> bool:
    """Whether the row's tweet is stored: its record in the new version of the file says so."""
    return isinstance(outcome, Pair) and row.tweet_id in (None, outcome.id) and pending.knows(outcome)


def _match(rows: Iterator[_Row], records: Iterator[Record], *, gone: bool) -> Iterator[tuple[_Row, Record]]:
    """Each row with the record at its line; both come in the order of their lines."""
    record = next(records, None)
    for row in rows:
        while record is not None and record.line < row.line:
            record = next(records, None)
        if record is not None and record.line == row.line:
            yield row, record
        else:
            yield row, row.reject(_GONE if gone else _REPLACED)


def _split(pairs: Iterator[tuple[_Row, Record]], size: int) -> Iterator[list[tuple[_Row, Record]]]:
    while chunk := list(islice(pairs, size)):
        yield chunk
