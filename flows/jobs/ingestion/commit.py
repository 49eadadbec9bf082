"""The catalog's side of an ingestion: which tweets are known already, and one transaction a group."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flows.jobs.ingestion.group import Batch, Group
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset, get_or_create_dataset
from infra.catalog.tables import Dataset, LandingObject, QuarantinedTweet, QuarantineRest, Shard, StoredTweet, now
from infra.errors import CatalogError
from itrp.data.pairs import Rejection

T = TypeVar("T")

LOOK_UP = 500
"""Values of one IN (...): well under every database's limit on parameters."""


class ConcurrentIngestionError(CatalogError):
    """Another ingestion of the data set was committed while this one read: nothing of the group was written."""


@dataclass(frozen=True, slots=True)
class Target:
    """The data set an ingestion writes to."""

    catalog: Catalog
    name: str
    layout: str
    flow_run_id: str | None = None


def find_contents(target: Target, ids: Sequence[str]) -> dict[str, str]:
    """Tweet id -> content hash, of those ids that the data set has."""
    found: dict[str, str] = {}
    with target.catalog.session() as session:
        dataset = get_dataset(session, target.name)
        if dataset is None:
            return found
        for some in slices(ids):
            query = select(StoredTweet.tweet_id, StoredTweet.content_sha256).where(
                StoredTweet.dataset_id == dataset.id, StoredTweet.tweet_id.in_(some)
            )
            found.update((tweet_id, content) for tweet_id, content in session.execute(query))
    return found


def commit_group(target: Target, group: Group) -> None:
    """Write all rows of a group, or none.

    Raises ConcurrentIngestionError when another ingestion of the data set was committed in between.
    """
    try:
        with target.catalog.session() as session:
            dataset = get_or_create_dataset(session, target.name, target.layout)
            # One commit at a time: PostgreSQL would let two that insert the same rows wait for each other.
            session.execute(select(Dataset.id).where(Dataset.id == dataset.id).with_for_update())
            if group.annotations_key:
                dataset.annotations_key = group.annotations_key
            shard_ids = _add_shards(session, dataset.id, target, group)
            _add_batches(session, dataset.id, target, group)
            _add_tweets(session, dataset.id, shard_ids, group)
            _add_rejections(session, dataset.id, group)
            _add_rest(session, group.batches)
            _update_retries(session, group)
            _replace_rest(session, group.replayed)
    except IntegrityError as error:
        raise ConcurrentIngestionError(
            f"expected to be the only ingestion into the data set {target.name}, found rows of another one "
            "that ran at the same time: this group is not stored, run the ingestion again"
        ) from error


def _add_shards(session: Session, dataset_id: int, target: Target, group: Group) -> list[int]:
    """Append the shards to the data set; their ids in order."""
    last = session.scalar(select(func.max(Shard.position)).where(Shard.dataset_id == dataset_id))
    start = 0 if last is None else last + 1
    rows = [
        Shard(
            dataset_id=dataset_id,
            position=start + index,
            hash=shard.hash,
            key=shard.key,
            pairs=shard.pairs,
            size=shard.size,
            flow_run_id=target.flow_run_id,
        )
        for index, shard in enumerate(group.shards)
    ]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def _add_batches(session: Session, dataset_id: int, target: Target, group: Group) -> None:
    """Enter the landing objects; their batches learn their ids."""
    rows = [
        LandingObject(
            dataset_id=dataset_id,
            key=batch.key,
            etag=batch.etag,
            lines=batch.lines,
            pairs=batch.pairs,
            duplicates=batch.duplicates,
            quarantined=batch.quarantined,
            flow_run_id=target.flow_run_id,
        )
        for batch in group.batches
    ]
    session.add_all(rows)
    session.flush()
    for batch, row in zip(group.batches, rows, strict=True):
        batch.id = row.id


def _add_tweets(session: Session, dataset_id: int, shard_ids: Sequence[int], group: Group) -> None:
    rows = [
        {
            "dataset_id": dataset_id,
            "tweet_id": tweet.tweet_id,
            "content_sha256": tweet.content_sha256,
            "shard_id": shard_ids[tweet.shard],
            "row": tweet.row,
            "landing_object_id": tweet.batch.id,
            "line": tweet.line,
        }
        for tweet in group.tweets
    ]
    if rows:
        session.execute(insert(StoredTweet), rows)


def _add_rejections(session: Session, dataset_id: int, group: Group) -> None:
    rows = [
        {
            "dataset_id": dataset_id,
            "landing_object_id": batch.id,
            "object_key": batch.key,
            "line": rejection.line,
            "created_at": now(),
            **_describe(rejection),
        }
        for batch, rejection in group.rejections
    ]
    if rows:
        session.execute(insert(QuarantinedTweet), rows)


def _add_rest(session: Session, batches: Iterable[Batch]) -> None:
    rows = [
        {"landing_object_id": batch.id, "code": code, "records": len(lines), "lines": lines.pack()}
        for batch in batches
        for code, lines in sorted(batch.rest.items())
    ]
    if rows:
        session.execute(insert(QuarantineRest), rows)


def _replace_rest(session: Session, batches: Sequence[Batch]) -> None:
    for batch in batches:
        session.execute(delete(QuarantineRest).where(QuarantineRest.landing_object_id == batch.id))
    _add_rest(session, batches)


def _update_retries(session: Session, group: Group) -> None:
    resolved = [{"id": retry.row_id, "resolved_at": now()} for retry in group.retries if not retry.rejection]
    rejected = [{"id": retry.row_id, **_describe(retry.rejection)} for retry in group.retries if retry.rejection]
    for rows in (resolved, rejected):
        if rows:
            session.execute(update(QuarantinedTweet), rows)


def _describe(rejection: Rejection) -> dict[str, Any]:
    """The columns of a rejection, cut to their sizes."""
    return {
        "tweet_id": _fit(rejection.id, 64),
        "image_key": _fit(rejection.image_key, 1024),
        "code": rejection.code,
        "reason": _fit(rejection.reason, 1024),
    }


def _fit(text: str | None, size: int) -> str | None:
    """At most `size` characters that every database keeps: PostgreSQL has no NUL and no lone surrogates."""
    if text is None:
        return None
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:size]


def slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Values in parts of what one query may ask for."""
    for start in range(0, len(values), LOOK_UP):
        yield values[start : start + LOOK_UP]
