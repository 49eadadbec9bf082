"""The catalog's tables: what is stored where, where it came from, which shard is labelled by which models."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: timezone-aware UTC in Python, also where the database keeps no zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value and value.tzinfo is None:
            raise ValueError(f"expected a timezone-aware point in time, found {value.isoformat()}: give it a zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Declarative base; `Base.metadata` is what the Alembic migrations build."""

    # A migration can only change a constraint that has a name, the same on every database.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON}  # noqa: RUF012


class Dataset(Base):
    """A named list of shards: the landing zone, Twitter100k, ITR, a day of tweets."""

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    layout: Mapped[str] = mapped_column(String(32))
    """landing, twitter100k or itr."""
    annotations_key: Mapped[str | None] = mapped_column(String(512))
    """Key of the human labels (an annotation file), None for an unlabelled data set."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    shards: Mapped[list["Shard"]] = relationship(back_populates="dataset", order_by="Shard.position")


class Shard(Base):
    """One immutable Parquet file of pairs, named by the hash of its content."""

    __tablename__ = "shard"
    __table_args__ = (UniqueConstraint("dataset_id", "hash"), UniqueConstraint("dataset_id", "position"))

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    position: Mapped[int]
    """0-based place in the data set."""
    hash: Mapped[str] = mapped_column(String(64), index=True)
    key: Mapped[str] = mapped_column(String(512))
    pairs: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship(back_populates="shards")


class LandingObject(Base):
    """A batch file that was swallowed whole: one row per key and content (ETag)."""

    __tablename__ = "landing_object"
    __table_args__ = (UniqueConstraint("dataset_id", "key", "etag"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    key: Mapped[str] = mapped_column(String(1024))
    etag: Mapped[str] = mapped_column(String(128))
    lines: Mapped[int]
    pairs: Mapped[int]
    duplicates: Mapped[int]
    quarantined: Mapped[int]
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    ingested_at: Mapped[datetime] = mapped_column(default=now)


class StoredTweet(Base):
    """Where a tweet lies and where it came from; one row per data set and tweet id."""

    __tablename__ = "stored_tweet"
    __table_args__ = (Index("ix_stored_tweet_tweet_id", "tweet_id"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), primary_key=True)
    tweet_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    content_sha256: Mapped[str] = mapped_column(String(64))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"), index=True)
    row: Mapped[int]
    """0-based row in the shard."""
    landing_object_id: Mapped[int] = mapped_column(ForeignKey("landing_object.id"))
    line: Mapped[int]
    """1-based line in the landing object."""


class QuarantinedTweet(Base):
    """A rejected record: why, and where it lies. `resolved_at` is set when a replay brought it in."""

    __tablename__ = "quarantined_tweet"
    __table_args__ = (UniqueConstraint("landing_object_id", "line"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), index=True)
    landing_object_id: Mapped[int] = mapped_column(ForeignKey("landing_object.id"))
    object_key: Mapped[str] = mapped_column(String(1024))
    line: Mapped[int]
    tweet_id: Mapped[str | None] = mapped_column(String(64))
    image_key: Mapped[str | None] = mapped_column(String(1024))
    code: Mapped[str] = mapped_column(String(32), index=True)
    reason: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(default=now)
    resolved_at: Mapped[datetime | None]


class QuarantineRest(Base):
    """Rejected records of a landing object that have no row of their own, for one reason: how many, and on which lines."""

    __tablename__ = "quarantine_rest"
    __table_args__ = (UniqueConstraint("landing_object_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    landing_object_id: Mapped[int] = mapped_column(ForeignKey("landing_object.id"))
    code: Mapped[str] = mapped_column(String(32))
    records: Mapped[int]
    """Those that no replay has brought in."""
    lines: Mapped[bytes]
    """A bit a line, lowest first, compressed (zlib)."""


class ModelRun(Base):
    """A training run: which data taught which registered version."""

    __tablename__ = "model_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    mlflow_run_id: Mapped[str] = mapped_column(String(64), unique=True)
    experiment: Mapped[str] = mapped_column(String(128))
    task: Mapped[str] = mapped_column(String(16))
    seed: Mapped[int] = mapped_column(BigInteger)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    dataset_hash: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]]
    rounds: Mapped[int]
    model_name: Mapped[str | None] = mapped_column(String(128))
    model_version: Mapped[str | None] = mapped_column(String(32))
    git_commit: Mapped[str | None] = mapped_column(String(64))
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    finished_at: Mapped[datetime] = mapped_column(default=now)


class LabelFile(Base):
    """The label ledger: this shard is labelled by this pair of model versions. Written after the file."""

    __tablename__ = "label_file"
    __table_args__ = (UniqueConstraint("shard_id", "text_version", "image_version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    text_version: Mapped[str] = mapped_column(String(32))
    image_version: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    pairs: Mapped[int]
    """Labelled tweets: the shard's, less those set aside."""
    set_aside: Mapped[int] = mapped_column(default=0, server_default="0")
    """Tweets of the shard that could not be labelled: their rows are in `set_aside_tweet`."""
    counts: Mapped[dict[str, Any]]
    """Pairs by relation code."""
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    scored_at: Mapped[datetime] = mapped_column(default=now)


class SetAsideTweet(Base):
    """A tweet of a labelled shard that has no label by that pair of versions, and why; its label file tells the same."""

    __tablename__ = "set_aside_tweet"
    __table_args__ = (UniqueConstraint("label_file_id", "row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    label_file_id: Mapped[int] = mapped_column(ForeignKey("label_file.id"))
    row: Mapped[int]
    """0-based row in the shard."""
    tweet_id: Mapped[str] = mapped_column(String(64), index=True)
    code: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Notice(Base):
    """Something people were told of, so that they are not told again at every run."""

    __tablename__ = "notice"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(default=now)


class ChampionMove(Base):
    """A version that was noticed as the champion of its task; the newest position is the one that is known now."""

    __tablename__ = "champion_move"
    __table_args__ = (UniqueConstraint("task", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(16))
    position: Mapped[int]
    """1, 2, 3 … for each task: of two processes that notice the same move, one enters it."""
    version: Mapped[str] = mapped_column(String(32))
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    noticed_at: Mapped[datetime] = mapped_column(default=now)
