"""Fetching and checking many candidates at once, with the results in the candidates' order."""

import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from infra.errors import ObjectKeyError, ObjectMissingError
from infra.object_store import ObjectStore
from infra.parallel import map_in_order
from infra.parallel import open_pool as open_threads
from itrp.data.images import MAX_BYTES
from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.rejections import MissingImageError, RejectedError
from itrp.data.validation import check_candidate

Fetch = Callable[[str], bytes]
Record = Candidate | Rejection

CHUNK = 250
"""Records whose ids are looked up in the catalog together."""
THREADS = max(4, 2 * (os.cpu_count() or 1))
"""Images fetched and decoded at once: a store answers slowly and decoding leaves Python's lock. However many there are, all
that are being decoded share the memory of `itrp.data.decoding_memory`."""


def open_pool() -> AbstractContextManager[ThreadPoolExecutor]:
    """A thread pool whose waiting work is dropped when the run is aborted."""
    return open_threads(THREADS)


class Checked(NamedTuple):
    """What became of a record, and the key its image was looked for at last."""

    outcome: Pair | Rejection
    image_key: str | None


def check_in_order(records: Iterable[Record], fetch: Fetch, pool: ThreadPoolExecutor) -> Iterator[Checked]:
    """Check candidates on the pool; rejections pass through. At most two images a thread are in memory."""
    listed = [*records]
    candidates = [record for record in listed if isinstance(record, Candidate)]
    checked = map_in_order(pool, lambda candidate: check_anywhere(candidate, fetch), candidates, ahead=2 * THREADS)
    for record in listed:
        yield Checked(record, record.image_key) if isinstance(record, Rejection) else next(checked)


def check_anywhere(candidate: Candidate, fetch: Fetch) -> Checked:
    """Check a candidate with the first of its keys at which an image lies."""
    outcome = check_candidate(candidate, fetch)
    if not isinstance(outcome, Rejection) or outcome.code != "image_missing":
        return Checked(outcome, candidate.image_key)
    elsewhere = [*_list_other_keys(candidate)]
    for key in elsewhere:
        other = check_candidate(replace(candidate, image_key=key), fetch)
        if not isinstance(other, Rejection) or other.code not in ("image_missing", "image_key_invalid"):
            return Checked(other, key)
    return Checked(_name_places(outcome, elsewhere), candidate.image_key)


def _list_other_keys(candidate: Candidate) -> Iterator[str]:
    """The key in the other forms of Unicode: macOS writes u and two dots where others write ü. Then the record's own."""
    key = candidate.image_key or ""
    forms = (unicodedata.normalize("NFC", key), unicodedata.normalize("NFD", key))
    yield from (form for form in dict.fromkeys(forms) if form != key)
    yield from candidate.other_keys


def _name_places(rejection: Rejection, keys: Sequence[str]) -> Rejection:
    """The rejection, telling all places that were looked at."""
    names = dict.fromkeys(posixpath.basename(key) for key in keys)
    if not names:
        return rejection
    if not rejection.image_key or rejection.image_key.isascii():
        looked = f"expected an image at {rejection.image_key!r}, or beside it as {', '.join(names)}"
    else:
        looked = f"expected an image at {rejection.image_key!r}, its letters composed or decomposed (NFC, NFD)"
    return replace(rejection, reason=f"{looked[:800]}, found nothing: upload it, then replay the quarantine")


def split_chunks(records: Iterable[Record], size: int = CHUNK) -> Iterator[list[Record]]:
    """Lists of at most `size` records."""
    stream = iter(records)
    while chunk := list(islice(stream, size)):
        yield chunk


def fetch_from(store: ObjectStore) -> Fetch:
    """A function that reads an image of the store, up to one byte more than the limit."""

    def fetch(key: str) -> bytes:
        try:
            with store.open(key) as stream:
                return read_at_most(stream.read, MAX_BYTES + 1)
        except ObjectMissingError as error:
            raise MissingImageError(key) from error
        except ObjectKeyError as error:
            raise RejectedError("image_key_invalid", str(error)) from error

    return fetch


def read_at_most(read: Callable[[int], bytes], limit: int) -> bytes:
    """A network stream may give fewer bytes than asked for before its end."""
    parts: list[bytes] = []
    missing = limit
    while missing > 0 and (part := read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
