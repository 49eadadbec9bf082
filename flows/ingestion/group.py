"""A group of landing objects that enter the catalog together: the rows that wait for its commit."""

from dataclasses import dataclass, field

from itrp.pairs import Refusal


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
    """The new state of a quarantined row: resolved, or refused again."""

    row_id: int
    refusal: Refusal | None


@dataclass
class Group:
    """What one commit writes. `batches` are the new landing objects only."""

    batches: list[Batch] = field(default_factory=list)
    shards: list[NewShard] = field(default_factory=list)
    tweets: list[NewTweet] = field(default_factory=list)
    refusals: list[tuple[Batch, Refusal]] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    annotations_key: str | None = None
