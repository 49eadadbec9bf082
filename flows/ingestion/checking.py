"""Fetching and checking many candidates at once, with the results in the candidates' order."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice

from infra.errors import ObjectKeyError, ObjectMissingError
from infra.object_store import ObjectStore
from infra.parallel import map_in_order
from infra.parallel import open_pool as open_threads
from itrp.checks import check_candidate
from itrp.images import MAX_BYTES
from itrp.pairs import Candidate, Pair, Refusal
from itrp.refusals import MissingPictureError, RefusedError

Fetch = Callable[[str], bytes]
Record = Candidate | Refusal

CHUNK = 250
"""Records whose ids are looked up in the catalog together."""
THREADS = max(4, 2 * (os.cpu_count() or 1))
"""Pictures fetched and decoded at once: a store answers slowly and decoding leaves Python's lock, but each may
take 150 MB while it is decoded."""


def open_pool() -> AbstractContextManager[ThreadPoolExecutor]:
    """A thread pool whose waiting work is dropped when the run is aborted."""
    return open_threads(THREADS)


def check_in_order(records: Iterable[Record], fetch: Fetch, pool: ThreadPoolExecutor) -> Iterator[Pair | Refusal]:
    """Check candidates on the pool; refusals pass through. At most two pictures a thread are in memory."""

    def check(record: Record) -> Pair | Refusal:
        return record if isinstance(record, Refusal) else check_candidate(record, fetch)

    return map_in_order(pool, check, records, ahead=2 * THREADS)


def split_chunks(records: Iterable[Record], size: int = CHUNK) -> Iterator[list[Record]]:
    """Lists of at most `size` records."""
    stream = iter(records)
    while chunk := list(islice(stream, size)):
        yield chunk


def fetch_from(store: ObjectStore) -> Fetch:
    """A function that reads a picture of the store, up to one byte more than the limit."""

    def fetch(key: str) -> bytes:
        try:
            with store.open(key) as stream:
                return read_at_most(stream.read, MAX_BYTES + 1)
        except ObjectMissingError as error:
            raise MissingPictureError(key) from error
        except ObjectKeyError as error:
            raise RefusedError("image_key_invalid", str(error)) from error

    return fetch


def read_at_most(read: Callable[[int], bytes], limit: int) -> bytes:
    """A network stream may give fewer bytes than asked for before its end."""
    parts: list[bytes] = []
    missing = limit
    while missing > 0 and (part := read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
