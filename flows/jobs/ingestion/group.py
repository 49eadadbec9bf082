"""A group of landing objects that enter the catalog together: the rows that wait for its commit."""

from collections import Counter
from dataclasses import dataclass, field

from flows.jobs.ingestion.line_set import LineSet
from itrp.data.pairs import Rejection

ROWS_KEPT = 1000
"""Rejections of one batch and one reason that get rows of their own; of the others the lines are kept, packed."""


@dataclass(eq=False)
class Batch:
    """A landing object being swallowed, or one swallowed earlier (then it has its catalog id)."""

    key: str
    etag: str
    id: int | None = None
    lines: int = 0
    pairs: int = 0
    duplicates: int = 0
    quarantined: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Reason code -> rejections that get a row."""
    rest: dict[str, LineSet] = field(default_factory=dict)
    """Reason code -> lines of the rejections that get none."""

    def takes_row(self, code: str) -> bool:
        """Whether one more rejection for this reason gets a row; it is then counted."""
        if self.rows[code] >= ROWS_KEPT:
            return False
        self.rows[code] += 1
        return True

    def add_rest(self, code: str, line: int) -> None:
        """Note the line of a rejection without a row."""
        if code not in self.rest:
            self.rest[code] = LineSet()
        self.rest[code].add(line)


@dataclass(frozen=True, slots=True)
class NewShard:
    """A shard file that is written and waits for its catalog row."""

    hash: str
    key: str
    pairs: int
    size: int


@dataclass(frozen=True, slots=True)
class NewTweet:
    """A tweet in a new shard."""

    tweet_id: str
    content_sha256: str
    shard: int
    """Index in the group's shards."""
    row: int
    batch: Batch
    line: int


@dataclass(frozen=True, slots=True)
class Retry:
    """The new state of a quarantined row: resolved, or rejected again."""

    row_id: int
    rejection: Rejection | None


@dataclass
class Group:
    """What one commit writes. `batches` are the new landing objects only."""

    batches: list[Batch] = field(default_factory=list)
    shards: list[NewShard] = field(default_factory=list)
    tweets: list[NewTweet] = field(default_factory=list)
    rejections: list[tuple[Batch, Rejection]] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    replayed: list[Batch] = field(default_factory=list)
    """Earlier landing objects whose rejections were tried again: of those without rows, `rest` holds what is left."""
    annotations_key: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the quarantine that wait."""
        return len(self.rejections) + len(self.retries)
