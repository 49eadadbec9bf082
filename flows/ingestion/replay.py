"""Try the quarantined records of the landing zone again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, islice

from sqlalchemy import select

from flows.ingestion.checking import CHUNK, Record, check_in_order, fetch_from, open_pool
from flows.ingestion.commit import Target
from flows.ingestion.group import Batch
from flows.ingestion.known import is_unchanged
from flows.ingestion.landing import LANDING_DATASET, Progress, read_records
from flows.ingestion.pending import SHARD_PAIRS, Pending
from flows.ingestion.report import IngestReport
from infra.catalog import Catalog
from infra.object_store import ObjectStore
from infra.tables import Dataset, LandingObject, QuarantinedTweet
from itrp.pairs import Pair, Refusal

_GONE = "expected the batch file this record stood in, found none: put it back, then replay again"
_REPLACED = (
    "expected the batch file this record stood in, found it replaced: ingest the landing zone, which takes "
    "in the new file on its own, then replay again"
)


@dataclass(frozen=True, slots=True)
class _Row:
    """An unresolved row of the quarantine."""

    id: int
    object_key: str
    line: int
    tweet_id: str | None
    image_key: str | None
    code: str
    batch: Batch

    def refuse(self, reason: str) -> Refusal:
        """Refused as before, with what is the matter now."""
        return Refusal(self.object_key, self.line, self.code, reason, self.tweet_id, self.image_key)


def replay_quarantine(
    store: ObjectStore,
    catalog: Catalog,
    *,
    flow_run_id: str | None = None,
    shard_size: int = SHARD_PAIRS,
    on_progress: Progress | None = None,
) -> IngestReport:
    """Read each unresolved record again at its object and line and check it again.

    What passes is stored (or is found stored already) and resolved; what does not keeps its row, with the
    reason of today. In the report, `lines` counts the records tried. A failing store aborts the run with
    nothing half in.
    """
    target = Target(catalog, LANDING_DATASET, LANDING_DATASET, flow_run_id)
    pending = Pending(store, target, shard_size)
    with open_pool() as pool:
        for _, rows in groupby(_load_rows(target), key=lambda row: row.batch.id):
            _replay_batch(store, [*rows], pending, pool, on_progress)
            pending.end_object()
        pending.commit()
    return pending.tally.report()


def _load_rows(target: Target) -> list[_Row]:
    """Unresolved rows by object, version and line.

    An object that was put again has rows of each version. The newest comes first, because a record of an
    older version is resolved only as a copy of a stored tweet: its line may hold another record today.
    """
    query = (
        select(QuarantinedTweet, LandingObject)
        .join(LandingObject, LandingObject.id == QuarantinedTweet.landing_object_id)
        .join(Dataset, Dataset.id == QuarantinedTweet.dataset_id)
        .where(Dataset.name == target.name, QuarantinedTweet.resolved_at.is_(None))
        .order_by(QuarantinedTweet.object_key, LandingObject.id.desc(), QuarantinedTweet.line)
    )
    with target.catalog.session() as session:
        found = [(tweet, batch) for tweet, batch in session.execute(query)]
    batches = {row.id: Batch(row.key, row.etag, row.id) for _, row in found}
    return [
        _Row(item.id, item.object_key, item.line, item.tweet_id, item.image_key, item.code, batches[origin.id])
        for item, origin in found
    ]


def _replay_batch(
    store: ObjectStore,
    rows: list[_Row],
    pending: Pending,
    pool: ThreadPoolExecutor,
    on_progress: Progress | None,
) -> None:
    """Try the rows of one version of one batch file."""
    batch = rows[0].batch
    info = store.stat(batch.key)
    replaced = info is not None and not is_unchanged(store, info, batch.etag)
    with ExitStack() as stack:
        records: Iterator[Record] = iter(())
        if info is not None:
            records = stack.enter_context(read_records(store, batch.key))
        for chunk in _split(_match(rows, records, gone=info is None), CHUNK):
            pending.look_up(record for _, record in chunk)
            outcomes = check_in_order((record for _, record in chunk), fetch_from(store), pool)
            for (row, record), outcome in zip(chunk, outcomes, strict=True):
                if replaced and not _is_copy(row, outcome, pending):
                    outcome = row.refuse(_REPLACED)
                pending.retry(row.id, outcome, batch, record.image_key)
            if on_progress:
                on_progress(len(chunk))


def _is_copy(row: _Row, outcome: Pair | Refusal, pending: Pending) -> bool:
    """Whether the row's tweet is stored: its record in the new version of the file says so."""
    return isinstance(outcome, Pair) and row.tweet_id in (None, outcome.id) and pending.knows(outcome)


def _match(rows: list[_Row], records: Iterator[Record], *, gone: bool) -> Iterator[tuple[_Row, Record]]:
    """Each row with the record at its line; both come in the order of their lines."""
    record = next(records, None)
    for row in rows:
        while record is not None and record.line < row.line:
            record = next(records, None)
        if record is not None and record.line == row.line:
            yield row, record
        else:
            yield row, row.refuse(_GONE if gone else _REPLACED)


def _split(pairs: Iterator[tuple[_Row, Record]], size: int) -> Iterator[list[tuple[_Row, Record]]]:
    while chunk := list(islice(pairs, size)):
        yield chunk
