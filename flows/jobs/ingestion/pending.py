"""What is read but not yet committed: a buffer of pairs, finished shard files, and the rows that will tell of
them.

A full buffer becomes a content-addressed file at once; the catalog learns of it only in `commit`, together
with the whole landing objects it came from. A killed run therefore leaves at most files that nobody names,
and the next run writes the same ones.
"""

from collections.abc import Iterable
from enum import Enum

from flows.jobs.ingestion.checking import Record
from flows.jobs.ingestion.commit import Target, commit_group, find_contents
from flows.jobs.ingestion.group import Batch, Group, NewShard, NewTweet, Retry
from flows.jobs.ingestion.report import Tally
from infra.object_store import ObjectStore
from itrp.data.pairs import Pair, Rejection
from itrp.data.shards import encode_shard, shard_hash, shard_key
from itrp.data.validation import describe_id
from itrp.errors import WrongUseError

SHARD_PAIRS = 2000
"""Pairs of a full shard."""
MOST_ROWS = 10_000
"""Rows of the quarantine that wait for a commit at the end of a landing object: more are committed without a full shard."""
SHARD_BYTES = 256 * 1024 * 1024
"""A shard is also full with this many bytes of images: it must fit into memory in any case."""


class Placement(Enum):
    """What became of a checked pair."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Pending:
    """The group being built, of one data set.

    Memory: one shard of images, a few hundred bytes a tweet of the group, and about a KB a row of the quarantine, of
    which a landing object has at most ROWS_KEPT a reason.
    """

    def __init__(self, store: ObjectStore, target: Target, shard_size: int = SHARD_PAIRS) -> None:
        if shard_size < 1:
            raise WrongUseError(
                f"expected at least 1 pair a shard, found {shard_size}: leave it out for {SHARD_PAIRS:,}"
            )
        self.store = store
        self.target = target
        self.shard_size = shard_size
        self.tally = Tally()
        self._committed = Tally()
        self.group = Group()
        self._replayed: set[int | None] = set()
        self._buffer: list[Pair] = []
        self._buffer_bytes = 0
        self._contents: dict[str, str] = {}
        """Tweet id -> content hash, of the group."""
        self._stored: dict[str, str] = {}
        """Tweet id -> content hash, of those looked up last."""

    def begin(self, key: str, etag: str) -> Batch:
        """Start a new landing object."""
        batch = Batch(key, etag)
        self.group.batches.append(batch)
        return batch

    def look_up(self, records: Iterable[Record]) -> None:
        """Learn which of these records' ids the catalog has; to be called before their outcomes are added."""
        ids = {describe_id(record.id) for record in records if not isinstance(record, Rejection)}
        self._stored = find_contents(self.target, sorted(id_ for id_ in ids if id_)) if ids else {}

    def knows(self, pair: Pair) -> bool:
        """Whether the pair is stored or pending with the same content."""
        known = self._known(pair.id)
        return known is not None and pair.is_content(known)

    def add(self, outcome: Pair | Rejection, batch: Batch, image_key: str | None) -> None:
        """Take in the outcome of one record of a new landing object."""
        rejection = self._take(outcome, batch, image_key)
        batch.lines += 1
        if rejection:
            batch.quarantined += 1
            if batch.takes_row(rejection.code):
                self.group.rejections.append((batch, rejection))
            else:
                self._leave(batch, rejection.code, rejection.line)

    def retry(self, row_id: int | None, outcome: Pair | Rejection, batch: Batch, image_key: str | None) -> None:
        """Take in the outcome of one quarantined record; the batch is the one it came with.

        row_id: None for a record without a row, whose line comes back into the batch's `rest` when it is rejected again.
        """
        rejection = self._take(outcome, batch, image_key)
        if row_id is not None:
            self.group.retries.append(Retry(row_id, rejection))
        elif rejection:
            self._leave(batch, rejection.code, rejection.line)

    def replayed(self, batch: Batch) -> None:
        """All records of an earlier landing object are tried again: what is left of its `rest` is written."""
        self.group.replayed.append(batch)

    def has_replayed(self, batch: Batch) -> bool:
        """Whether that is so and committed."""
        return batch.id in self._replayed

    def flush(self) -> None:
        """Write the buffer as a shard file, full or not."""
        if not self._buffer:
            return
        data = encode_shard(self._buffer)
        digest = shard_hash(data)
        self.store.put_if_absent(shard_key(digest), data)
        self.group.shards.append(NewShard(digest, shard_key(digest), len(self._buffer), len(data)))
        self._buffer, self._buffer_bytes = [], 0

    def end_object(self) -> None:
        """After a whole landing object: commit when a full shard was written since the last commit, or many rows wait.

        Where groups end is thus a function of the objects alone, whoever is killed in between.
        """
        if self.group.shards or self.group.rows > MOST_ROWS:
            self.commit()

    def commit(self) -> None:
        """Flush, and write all rows in one transaction. What follows starts a new group."""
        self.flush()
        if self.group.batches or self.group.retries or self.group.replayed:
            commit_group(self.target, self.group)
            self.tally.shards += len(self.group.shards)
            self._replayed.update(batch.id for batch in self.group.replayed)
        self.group, self._contents = Group(), {}
        self.keep_tally()

    def keep_tally(self) -> None:
        """What is counted so far stays counted when the group is forgotten."""
        self._committed = self.tally.copy()

    def discard(self) -> int:
        """Forget the group, as if it had not been read; the number of its records."""
        lines = self.tally.lines - self._committed.lines
        self.tally = self._committed.copy()
        self.group, self._contents, self._buffer, self._buffer_bytes = Group(), {}, [], 0
        return lines

    def _take(self, outcome: Pair | Rejection, batch: Batch, image_key: str | None) -> Rejection | None:
        """Count the outcome and place a pair; the rejection, if that is what it comes to."""
        self.tally.lines += 1
        placement = self._place(outcome, batch) if isinstance(outcome, Pair) else None
        if placement is Placement.STORED:
            self.tally.pairs += 1
            self.tally.times_unread += isinstance(outcome, Pair) and outcome.time_unread
            batch.pairs += 1
            return None
        if placement is Placement.DUPLICATE:
            self.tally.duplicates += 1
            batch.duplicates += 1
            return None
        rejection = _reject_conflict(outcome, image_key) if isinstance(outcome, Pair) else outcome
        self.tally.by_code[rejection.code] += 1
        return rejection

    def _place(self, pair: Pair, batch: Batch) -> Placement:
        """Put a pair into the buffer unless its id is known; a full buffer becomes a shard."""
        content, known = pair.content_sha256, self._known(pair.id)
        if known is not None:
            return Placement.DUPLICATE if pair.is_content(known) else Placement.CONFLICT
        place = (len(self.group.shards), len(self._buffer))
        self.group.tweets.append(NewTweet(pair.id, content, *place, batch, pair.line))
        self._contents[pair.id] = content
        self._buffer.append(pair)
        self._buffer_bytes += len(pair.image)
        if len(self._buffer) >= self.shard_size or self._buffer_bytes >= SHARD_BYTES:
            self.flush()
        return Placement.STORED

    def _leave(self, batch: Batch, code: str, line: int) -> None:
        """Note a rejection that gets no row."""
        batch.add_rest(code, line)
        self.tally.without_row += 1

    def _known(self, tweet_id: str) -> str | None:
        return self._contents.get(tweet_id) or self._stored.get(tweet_id)


def _reject_conflict(pair: Pair, image_key: str | None) -> Rejection:
    reason = (
        "expected the text and image that are stored under this id, found others: the first ones stay; "
        "give the tweet another id if you want both"
    )
    return Rejection(pair.source, pair.line, "id_conflict", reason, pair.id, image_key)
