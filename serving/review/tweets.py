"""Tweets as the pages address them: by the name of their data set and their id."""

from dataclasses import dataclass

from fastapi import HTTPException
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter, annotation_history
from infra.catalog.browse import BrowsedTweet, get_tweet
from infra.catalog.queries import get_dataset
from infra.catalog.review_tables import REVIEWED_LAYOUT, TASKS, Annotation, Kind
from infra.catalog.tables import Dataset, Shard
from serving.review.questions import UNSURE

LANDING = "landing"
"""The data set that is offered first: what collectors bring."""


def list_datasets(session: Session) -> list[Dataset]:
    """The data sets that hold tweets, the landing zone first, then by name; not the one that is made of people's labels."""
    query = select(Dataset).where(Dataset.id.in_(select(Shard.dataset_id)), Dataset.layout != REVIEWED_LAYOUT)
    query = query.order_by(Dataset.name)
    return sorted(session.scalars(query), key=lambda each: (each.name != LANDING, each.name))


def choose_dataset(session: Session, name: str | None) -> tuple[list[Dataset], Dataset | None]:
    """All data sets with tweets, and the one of that name, or else the first; None where there is none at all."""
    found = list_datasets(session)
    chosen = next((each for each in found if each.name == name), found[0] if found else None)
    return found, chosen


def require_tweet(session: Session, dataset: str, tweet_id: str) -> tuple[Dataset, BrowsedTweet]:
    """The tweet and its data set. Raises HTTPException 404, which says what may help."""
    known = get_dataset(session, dataset)
    tweet = get_tweet(session, known.id, tweet_id) if known else None
    if known is None or tweet is None:
        raise HTTPException(404, "There is no such tweet here. New tweets are found a minute after they are ingested.")
    return known, tweet


@dataclass(frozen=True)
class OwnAnswer:
    """What a person has said of a tweet so far, as it holds."""

    answers: dict[str, str]
    """Task -> "0", "1" or "unsure"; without what she has taken back or not said."""
    note: str
    last: int
    """Id of her newest annotation of the tweet; 0 before the first."""


def find_own_answer(session: Session, dataset_id: int, tweet_id: str, person: str) -> OwnAnswer:
    """The person's own answer: she may see and change it; nobody else's."""
    wanted = AnnotationFilter(dataset_id=dataset_id, tweet_ids=[tweet_id], people=[person])
    rows = annotation_history(session, wanted)
    newest = {
        task: next((row for row in rows if row.task == task and row.kind != Kind.DECISION), None) for task in TASKS
    }
    held = {task: row for task, row in newest.items() if row is not None and row.kind in (Kind.LABEL, Kind.SKIP)}
    answers = {task: UNSURE if row.value is None else str(row.value) for task, row in held.items()}
    note = next((row.note for row in held.values() if row.note), "")
    return OwnAnswer(answers, note or "", max((row.id for row in rows), default=0))


def count_answered(session: Session, dataset_id: int, queue: str, person: str) -> int:
    """Tweets that a person has answered or skipped in a queue and not taken back since."""
    newest = (
        select(func.max(Annotation.id).label("id"))
        .where(Annotation.person == person, Annotation.dataset_id == dataset_id, Annotation.kind != Kind.DECISION)
        .group_by(Annotation.tweet_id, Annotation.task)
        .subquery()
    )
    held = select(func.count(Annotation.tweet_id.distinct())).join(newest, newest.c.id == Annotation.id)
    return session.scalar(held.where(Annotation.queue == queue, Annotation.kind != Kind.WITHDRAWAL)) or 0


def newest_of(session: Session, person: str) -> int:
    """Id of the person's newest annotation anywhere; 0 before the first."""
    return session.scalar(select(func.max(Annotation.id)).where(Annotation.person == person)) or 0
