"""The catalog's tables of a review: who labels, what people said of a tweet, and an index to find tweets by.

`tweet_words`, the index of the tweets' words, has no class: it is an FTS5 table in SQLite and a `tsvector` with a GIN index in
PostgreSQL, made by migration 0005 and used by `infra.catalog.words` alone.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from infra.catalog.tables import Base, now

TASKS = ("text", "image")
"""What people are asked of a tweet: is the text represented, does the image add."""
REVIEWED_LAYOUT = "reviewed"
"""Layout of the data set that is made of people's labels: its tweets are labelled where they came from."""
UNDATED = -(2**62)
"""`created_us` of a tweet whose time is not known: it comes after all others where the newest come first."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What a row of `annotation` says."""

    LABEL = "label"
    """The person's answer, 0 or 1."""
    SKIP = "skip"
    """The person does not want to answer."""
    WITHDRAWAL = "withdrawal"
    """The person takes her answer or skip back."""
    DECISION = "decision"
    """What holds where people disagree; without a value, that no decision holds any more."""


class Queue(StrEnum):
    """What brought a tweet before a person."""

    RANDOM = "random"
    LEAST_CERTAIN = "least-certain"
    DISAGREE = "disagree"
    CLUSTERS = "clusters"
    ERRORS = "errors"
    BROWSE = "browse"
    IMPORT = "import"


class Person(Base):
    """Somebody who labels. Without a password hash she cannot log in, which one at her own machine need not."""

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]


class Annotation(Base):
    """One thing a person said of a tweet for one task. Append-only: triggers reject an update and a delete.

    Of a person's rows for a tweet and task (decisions aside) the one with the greatest id holds.
    """

    __tablename__ = "annotation"
    __table_args__ = (
        ForeignKeyConstraint(["dataset_id", "tweet_id"], ["stored_tweet.dataset_id", "stored_tweet.tweet_id"]),
        UniqueConstraint("token", "task"),
        CheckConstraint("value IN (0, 1)", name="ck_annotation_value"),
        Index("ix_annotation_current", "dataset_id", "tweet_id", "task", "person", "id", "kind", "queue"),
        Index("ix_annotation_person_id", "person", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int]
    tweet_id: Mapped[str] = mapped_column(String(64))
    task: Mapped[str] = mapped_column(String(16))
    """text or image."""
    kind: Mapped[str] = mapped_column(String(16))
    """A `Kind`."""
    value: Mapped[int | None] = mapped_column(SmallInteger)
    """0 or 1 of a label and a decision, NULL otherwise."""
    person: Mapped[str] = mapped_column(String(64), ForeignKey("person.name"))
    queue: Mapped[str] = mapped_column(String(16))
    """A `Queue`."""
    seconds: Mapped[float | None] = mapped_column(Double)
    """How long the person looked; NULL where nobody measured it."""
    note: Mapped[str | None] = mapped_column(Text)
    guideline: Mapped[str] = mapped_column(String(32))
    """Version of the guidelines that the person had before her."""
    source: Mapped[str] = mapped_column(String(512))
    """"page", or the name of the file it came in."""
    token: Mapped[str] = mapped_column(String(64))
    """With the task, what is entered once: a form that is sent again carries the same one."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class IndexedTweet(Base):
    """A stored tweet as people find it: everything of it but the image."""

    __tablename__ = "indexed_tweet"
    __table_args__ = (
        UniqueConstraint("dataset_id", "tweet_id"),
        # what a view filters by stands in the index it walks along: no row is read that is not shown
        Index("ix_indexed_tweet_newest", "dataset_id", "created_us", "id", "lang"),
        Index("ix_indexed_tweet_random", "dataset_id", "random_key", "id", "lang", "created_us"),
        Index("ix_indexed_tweet_lang", "dataset_id", "lang"),
        Index("ix_indexed_tweet_shard_id", "shard_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    tweet_id: Mapped[str] = mapped_column(String(64))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    row: Mapped[int]
    """0-based row in the shard."""
    created_us: Mapped[int] = mapped_column(BigInteger)
    """Microseconds since 1970 in UTC; UNDATED where the time is not known."""
    lang: Mapped[str | None] = mapped_column(String(32))
    random_key: Mapped[int] = mapped_column(BigInteger)
    """63 bits of SHA-256 of the tweet's id: the same place in every database, and none that its content decides."""
    text: Mapped[str] = mapped_column(Text)


class ModelPair(Base):
    """Two model versions that label together."""

    __tablename__ = "model_pair"
    __table_args__ = (UniqueConstraint("text_version", "image_version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    text_version: Mapped[str] = mapped_column(String(32))
    image_version: Mapped[str] = mapped_column(String(32))


class TweetLabel(Base):
    """A pair's label of an indexed tweet, with the tweet's own columns that people filter and sort by."""

    __tablename__ = "tweet_label"
    __table_args__ = (
        *(
            Index(
                f"ix_tweet_label_{name}",
                *("dataset_id", "pair_id", "relation", key, "tweet", "lang"),
                *(each for each in ("created_us", "text_probability", "image_probability", "certainty") if each != key),
            )
            for name, key in (("newest", "created_us"), ("random", "random_key"), ("certain", "certainty"))
        ),
        {"sqlite_with_rowid": False},
    )

    pair_id: Mapped[int] = mapped_column(ForeignKey("model_pair.id"), primary_key=True)
    tweet: Mapped[int] = mapped_column(ForeignKey("indexed_tweet.id"), primary_key=True)
    dataset_id: Mapped[int]
    relation: Mapped[int] = mapped_column(SmallInteger)
    """2 * text + image, 0 to 3."""
    text_probability: Mapped[float] = mapped_column(Double)
    """Of class 1, as in the label file."""
    image_probability: Mapped[float] = mapped_column(Double)
    certainty: Mapped[float] = mapped_column(Double)
    """Distance of the less certain probability from 1/2, 0 to 0.5."""
    created_us: Mapped[int] = mapped_column(BigInteger)
    lang: Mapped[str | None] = mapped_column(String(32))
    random_key: Mapped[int] = mapped_column(BigInteger)


class IndexedShard(Base):
    """A shard whose tweets are all in the index: entered with them, in one transaction."""

    __tablename__ = "indexed_shard"

    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"), primary_key=True)
    tweets: Mapped[int]
    indexed_at: Mapped[datetime] = mapped_column(default=now)


class IndexedLabelFile(Base):
    """A label file whose labels are all in the index: entered with them, in one transaction."""

    __tablename__ = "indexed_label_file"

    label_file_id: Mapped[int] = mapped_column(ForeignKey("label_file.id"), primary_key=True)
    pair_id: Mapped[int] = mapped_column(ForeignKey("model_pair.id"), index=True)
    labels: Mapped[int]
    indexed_at: Mapped[datetime] = mapped_column(default=now)


class DoubtfulTweet(Base):
    """A tweet whose labels an analysis doubts: the queue "errors"."""

    __tablename__ = "doubtful_tweet"

    dataset_id: Mapped[int] = mapped_column(primary_key=True)
    tweet_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    doubt: Mapped[float] = mapped_column(Double)
    """The greater, the sooner it is looked at."""
    source: Mapped[str] = mapped_column(String(512))
    """What doubts it, such as a report's name."""
    after_annotation: Mapped[int]
    """Annotations up to this id were known then: who answered before is asked again."""
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        ForeignKeyConstraint(["dataset_id", "tweet_id"], ["stored_tweet.dataset_id", "stored_tweet.tweet_id"]),
    )


def to_microseconds(moment: datetime | None) -> int:
    """A point in time as `created_us`; UNDATED for None."""
    return UNDATED if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(created_us: int) -> datetime | None:
    """The point in time (UTC) that `created_us` holds; None for UNDATED."""
    return None if created_us == UNDATED else _EPOCH + timedelta(microseconds=created_us)
