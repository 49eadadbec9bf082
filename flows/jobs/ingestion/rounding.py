"""A batch or folder whose ids a spreadsheet rounded is rejected whole: its tweets would be stored under ids of others."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from flows.jobs.ingestion.checking import CHUNK, Record
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rounded_ids import find_rounding, is_long
from itrp.data.validation import reject


def reject_rounded_ids(records: Iterable[Record]) -> Iterator[Record]:
    """The records; where the ids of the first of them show that all were rounded, rejected.

    At most CHUNK records are held. Ids that are too short for rounding are left.
    """
    stream = iter(records)
    first = [*islice(stream, CHUNK)]
    found = find_rounding(record.id for record in first if isinstance(record, Candidate))
    for record in chain(first, stream):
        yield _reject(record, f"{found}; put the batch under another name then") if found else record


def _reject(record: Record, reason: str) -> Record:
    if isinstance(record, Rejection) or not is_long(record.id):
        return record
    return reject(record, "id_rounded", reason)
