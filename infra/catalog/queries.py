"""Questions to the catalog, and the records that several processes may write at once."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import ARRAY, ColumnElement, CursorResult, Integer, any_, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infra.catalog.tables import (
    Base,
    ChampionMove,
    Dataset,
    LabelFile,
    LandingObject,
    Notice,
    QuarantinedTweet,
    QuarantineRest,
    SetAsideTweet,
    Shard,
    StoredTweet,
    now,
)
from infra.errors import CatalogError

Value = TypeVar("Value")


class TweetOrigin(NamedTuple):
    """Where a stored tweet lies and where it came from."""

    tweet: StoredTweet
    shard: Shard
    dataset: Dataset
    landing_object: LandingObject


def get_dataset(session: Session, name: str) -> Dataset | None:
    """The data set of that name; None when there is none."""
    return session.scalar(select(Dataset).where(Dataset.name == name))


def get_or_create_dataset(session: Session, name: str, layout: str) -> Dataset:
    """The data set of that name, made if need be. Raises CatalogError when it has another layout."""
    insert_unless_there(session, Dataset, ("name",), {"name": name, "layout": layout})
    dataset = session.scalars(select(Dataset).where(Dataset.name == name)).one()
    if dataset.layout != layout:
        raise CatalogError(
            f"expected the data set {name} to have the layout {layout}, found {dataset.layout}: choose another name"
        )
    return dataset


def list_shards(session: Session, name: str) -> list[Shard]:
    """The data set's shards by position; none when there is no such data set."""
    query = select(Shard).join(Shard.dataset).where(Dataset.name == name).order_by(Shard.position)
    return [*session.scalars(query)]


def dataset_hash(session: Session, dataset: Dataset) -> str:
    """SHA-256 (hex) of each shard's hash and a newline, by position, then the annotations' key if any."""
    query = select(Shard.hash).where(Shard.dataset_id == dataset.id).order_by(Shard.position)
    lines = "".join(f"{shard_hash}\n" for shard_hash in session.scalars(query))
    return hashlib.sha256((lines + (dataset.annotations_key or "")).encode()).hexdigest()


def unlabelled_shards(
    session: Session, name: str, text_version: str | None = None, image_version: str | None = None
) -> list[Shard]:
    """The data set's shards, by position, that no pair of models has labelled, or that this pair has not.

    Raises ValueError when only one of the two versions is given.
    """
    if (text_version is None) != (image_version is None):
        raise ValueError(f"expected both versions or none, found text {text_version!r}, image {image_version!r}")
    labelled = select(LabelFile.id).where(LabelFile.shard_id == Shard.id)
    if text_version is not None:
        labelled = labelled.where(LabelFile.text_version == text_version, LabelFile.image_version == image_version)
    query = select(Shard).join(Shard.dataset).where(Dataset.name == name, ~labelled.exists())
    return [*session.scalars(query.order_by(Shard.position))]


def count_unlabelled(session: Session, name: str, text_version: str, image_version: str) -> int:
    """How many of the data set's shards this pair has not labelled."""
    labelled = select(LabelFile.id).where(
        LabelFile.shard_id == Shard.id,
        LabelFile.text_version == text_version,
        LabelFile.image_version == image_version,
    )
    query = select(func.count(Shard.id)).join(Shard.dataset).where(Dataset.name == name, ~labelled.exists())
    return session.scalar(query) or 0


def oldest_unlabelled(session: Session, name: str) -> Shard | None:
    """The data set's shard that has waited longest for a label of any pair; None when none waits."""
    labelled = select(LabelFile.id).where(LabelFile.shard_id == Shard.id)
    query = select(Shard).join(Shard.dataset).where(Dataset.name == name, ~labelled.exists())
    return session.scalars(query.order_by(Shard.created_at, Shard.id).limit(1)).first()


def find_tweet(session: Session, tweet_id: str) -> list[TweetOrigin]:
    """Every place the tweet is stored at, by the data set's name."""
    query = (
        select(StoredTweet, Shard, Dataset, LandingObject)
        .join(Shard, Shard.id == StoredTweet.shard_id)
        .join(Dataset, Dataset.id == StoredTweet.dataset_id)
        .join(LandingObject, LandingObject.id == StoredTweet.landing_object_id)
        .where(StoredTweet.tweet_id == tweet_id)
        .order_by(Dataset.name)
    )
    return [TweetOrigin(*row) for row in session.execute(query)]


def labels_of_shard(session: Session, shard_id: int) -> list[LabelFile]:
    """The shard's label files, oldest first."""
    query = select(LabelFile).where(LabelFile.shard_id == shard_id).order_by(LabelFile.scored_at, LabelFile.id)
    return [*session.scalars(query)]


def record_label_file(
    session: Session,
    *,
    shard_id: int,
    text_version: str,
    image_version: str,
    key: str,
    sha256: str,
    pairs: int,
    counts: dict[str, Any],
    set_aside: Sequence[Mapping[str, Any]] = (),
    flow_run_id: str | None = None,
) -> LabelFile:
    """Enter a label file in the ledger, once: where its shard and pair of versions stand, that row stays.

    set_aside: row, tweet_id, code and reason of each tweet of the shard that the file holds no label of.

    The caller sees by `sha256` whether the row returned is about the same bytes.
    """
    row = {
        "shard_id": shard_id,
        "text_version": text_version,
        "image_version": image_version,
        "key": key,
        "sha256": sha256,
        "pairs": pairs,
        "set_aside": len(set_aside),
        "counts": counts,
        "flow_run_id": flow_run_id,
    }
    entered = insert_unless_there(session, LabelFile, ("shard_id", "text_version", "image_version"), row)
    query = select(LabelFile).where(
        LabelFile.shard_id == shard_id,
        LabelFile.text_version == text_version,
        LabelFile.image_version == image_version,
    )
    found = session.scalars(query).one()
    if entered:
        session.add_all(SetAsideTweet(label_file_id=found.id, **each) for each in set_aside)
    return found


def set_aside_by(session: Session, label_files: Sequence[int]) -> list[tuple[SetAsideTweet, Shard]]:
    """The tweets that these label files (by id) hold no label of, with their shards, in the shards' order."""
    query = (
        select(SetAsideTweet, Shard)
        .join(LabelFile, LabelFile.id == SetAsideTweet.label_file_id)
        .join(Shard, Shard.id == LabelFile.shard_id)
        .where(LabelFile.id.in_(label_files))
        .order_by(Shard.position, SetAsideTweet.row)
    )
    return [(tweet, shard) for tweet, shard in session.execute(query)]


def record_notice(session: Session, kind: str, again: timedelta) -> bool:
    """Enter that people are told of something now; False when they were within the time after which they are told again."""
    if insert_unless_there(session, Notice, ("kind",), {"kind": kind}):
        return True
    statement = update(Notice).where(Notice.kind == kind, Notice.told_at <= now() - again).values(told_at=now())
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def last_champion(session: Session, task: str) -> ChampionMove | None:
    """The move that made the champion the catalog knows of; None before the first."""
    query = select(ChampionMove).where(ChampionMove.task == task).order_by(ChampionMove.position.desc())
    return session.scalars(query.limit(1)).first()


def champion_history(session: Session, task: str) -> list[str]:
    """Versions that were champions of a task, the newest first: those noticed as such, then those that have labelled."""
    moves = select(ChampionMove.version).where(ChampionMove.task == task).order_by(ChampionMove.position.desc())
    column = {"text": LabelFile.text_version, "image": LabelFile.image_version}[task]
    newest = func.max(LabelFile.id).desc()
    scored = select(column).group_by(column).order_by(newest)
    return [*dict.fromkeys([*session.scalars(moves), *session.scalars(scored)])]


def record_champion(session: Session, task: str, version: str, flow_run_id: str | None = None) -> bool:
    """Enter a version as the champion; False when it is known as such already, or another process is entering one."""
    known = last_champion(session, task)
    if known is not None and known.version == version:
        return False
    position = known.position + 1 if known else 1
    row = {"task": task, "position": position, "version": version, "flow_run_id": flow_run_id}
    return insert_unless_there(session, ChampionMove, ("task", "position"), row)


def shards_of_run(session: Session, flow_run_id: str) -> list[Shard]:
    """The shards a flow run wrote, by data set and position."""
    query = select(Shard).where(Shard.flow_run_id == flow_run_id).order_by(Shard.dataset_id, Shard.position)
    return [*session.scalars(query)]


def count_quarantined(session: Session) -> int:
    """Rejected records that no replay has brought in, those without a row of their own among them."""
    rows = session.scalar(select(func.count(QuarantinedTweet.id)).where(QuarantinedTweet.resolved_at.is_(None)))
    rest = session.scalar(select(func.coalesce(func.sum(QuarantineRest.records), 0)))
    return int(rows or 0) + int(rest or 0)


def insert_unless_there(session: Session, table: type[Base], unique: tuple[str, ...], row: dict[str, Any]) -> bool:
    """Insert a row; where one with the same unique columns lies, leave that one, without an error, and return False."""
    statement = dialect_insert(session, table).values(**row).on_conflict_do_nothing(index_elements=unique)
    # what comes back tells; the count of rows does not: with PostgreSQL's driver it is -1 here
    return session.execute(statement.returning(getattr(table, unique[0]))).first() is not None


def in_parts(values: Iterable[Value], size: int = 500) -> Iterator[list[Value]]:
    """Values in lists of what one statement may hold."""
    rest = iter(values)
    while part := [*islice(rest, size)]:
        yield part


def dialect_insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the session's database, with its ON CONFLICT."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def is_one_of(session: Session, column: ColumnElement[int], numbers: Iterable[int]) -> ColumnElement[bool]:
    """Whether a column holds one of any many numbers: one parameter, where IN would be one a number."""
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(json.dumps(sorted(numbers))).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(literal(sorted(numbers), ARRAY(Integer)))
