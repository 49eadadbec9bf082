"""Labels as they hold now: each person's, what a tweet is taken to be, who has done how much, and where people disagree."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from infra.catalog.annotations import (
    EVERYTHING,
    PAGE,
    AnnotationFilter,
    held_answers,
    holds,
    of_tweet,
    same_question,
)
from infra.catalog.review_tables import TASKS, Annotation, IndexedTweet, Kind, Queue


class CurrentLabel(NamedTuple):
    """A person's answer that holds now."""

    id: int
    """Of its annotation."""
    dataset_id: int
    tweet_id: str
    task: str
    value: int
    """0 or 1."""
    person: str
    queue: str
    """That the person had the tweet from when she gave this answer."""
    random: bool
    """Whether chance alone brought the tweet before this person, so that the label counts for measuring: she had it from the
    random queue, or that queue has passed over it because she had answered already."""
    seconds: float | None
    note: str | None
    guideline: str
    created_at: datetime


class SettledLabel(NamedTuple):
    """What a tweet is taken to be in a task."""

    dataset_id: int
    tweet_id: str
    task: str
    value: int
    zeros: int
    """People whose current label is 0."""
    ones: int
    decided: bool
    """By a decision; otherwise by the majority."""
    random: bool
    """Whether a label of the tweet counts for measuring (`CurrentLabel.random`)."""


class Work(NamedTuple):
    """What a person has said in a queue, as it holds now."""

    person: str
    queue: str
    tweets: int
    """With a label or a skip."""
    labels: int
    skips: int
    seconds: float
    """Spent on what was measured."""


class WaitingDecision(NamedTuple):
    """A tweet that people label differently, and that nobody has decided."""

    dataset_id: int
    tweet_id: str
    task: str
    answers: list[CurrentLabel]


def current_labels(
    session: Session, wanted: AnnotationFilter = EVERYTHING, *, random: bool = False
) -> list[CurrentLabel]:
    """Each person's answers that hold now, by data set, tweet, task and person; if `random`, those that count for measuring.

    The filter's queues are those of the answers that hold, not of former ones.
    """
    rows = session.execute(_held_labels(wanted)).all()
    chosen = {row.person for row in rows if not row.drawn}
    walks = _follow_walks(session, replace(wanted, people=chosen)) if chosen else {}
    labels = []
    for row in rows:
        walk = walks.get((row.dataset_id, row.person), _NOWHERE)
        by_lot = bool(row.drawn) or walk.passes(row.random_key, row.first)
        if by_lot or not random:
            labels.append(CurrentLabel._make((*row[:_BEFORE_RANDOM], by_lot, *row[_BEFORE_RANDOM : len(_READ)])))
    return labels


def settled_labels(
    session: Session,
    wanted: AnnotationFilter = EVERYTHING,
    *,
    random: bool = False,
    labels: Iterable[CurrentLabel] | None = None,
) -> list[SettledLabel]:
    """What each labelled tweet is taken to be: the newest decision, else the majority of the labels that are asked for.

    None on a tie. Without any restriction to queues, people or random, a tweet that only a decision speaks of is among them.
    labels: what `current_labels` says of this filter, where it has been asked already.
    """
    votes: dict[_Question, list[CurrentLabel]] = {}
    for label in current_labels(session, wanted) if labels is None else labels:
        if label.random or not random:
            votes.setdefault((label.dataset_id, label.tweet_id, label.task), []).append(label)
    decisions = _decisions(session, replace(wanted, queues=None, people=None))
    if wanted.queues is None and wanted.people is None and not random:
        votes |= {question: [] for question in decisions if question not in votes}
    settled = (_settle(question, cast, decisions.get(question)) for question, cast in sorted(votes.items()))
    return [each for each in settled if each is not None]


def count_work(session: Session, dataset_id: int | None = None) -> list[Work]:
    """Who has said how much in which queue, by person and queue."""
    held = (
        select(
            Annotation.person,
            Annotation.queue,
            func.max(case((Annotation.kind == Kind.LABEL, 1), else_=0)).label("labelled"),
            func.max(Annotation.seconds).label("seconds"),
        )
        .where(*AnnotationFilter(dataset_id=dataset_id).conditions())
        .where(Annotation.kind.in_((Kind.LABEL, Kind.SKIP)), holds(Annotation))
        .group_by(Annotation.dataset_id, Annotation.tweet_id, Annotation.person, Annotation.queue)
        .subquery()
    )
    query = (
        select(
            held.c.person,
            held.c.queue,
            func.count(),
            func.sum(held.c.labelled),
            func.coalesce(func.sum(held.c.seconds), 0.0),
        )
        .group_by(held.c.person, held.c.queue)
        .order_by(held.c.person, held.c.queue)
    )
    return [
        Work(person, queue, int(tweets), int(labelled), int(tweets) - int(labelled), float(seconds))
        for person, queue, tweets, labelled, seconds in session.execute(query)
    ]


def disagreements(dataset_id: int, tasks: Collection[str] = TASKS) -> Select[str, str]:
    """A query for (tweet id, task) of the tweets whose current labels differ and that no decision holds for."""
    differing = (
        select(Annotation.tweet_id, Annotation.task)
        .where(*AnnotationFilter(dataset_id=dataset_id, tasks=tasks).conditions())
        .where(Annotation.kind == Kind.LABEL, holds(Annotation))
        .group_by(Annotation.tweet_id, Annotation.task)
        .having(func.min(Annotation.value) < func.max(Annotation.value))
        .subquery()
    )
    decision, newer = aliased(Annotation), aliased(Annotation)
    taken_back = exists().where(*same_question(newer, decision), newer.kind == Kind.DECISION, newer.id > decision.id)
    decided = exists().where(
        decision.dataset_id == dataset_id,
        decision.tweet_id == differing.c.tweet_id,
        decision.task == differing.c.task,
        decision.kind == Kind.DECISION,
        decision.value.is_not(None),
        ~taken_back,
    )
    return select(differing.c.tweet_id, differing.c.task).where(~decided)


def labelled_tweets(session: Session, dataset_id: int, *, disagreed: bool = False) -> set[int]:
    """`IndexedTweet.id` of the tweets with a label that holds, or only of those that wait for a decision."""
    if disagreed:
        chosen = disagreements(dataset_id).subquery()
    else:
        label = case((Annotation.kind == Kind.LABEL, Annotation.id))
        held = (  # an answer's newest row is a label: asked of the groups, where `holds` would be asked of every row
            select(Annotation.tweet_id)
            .where(*AnnotationFilter(dataset_id=dataset_id).conditions(), Annotation.kind != Kind.DECISION)
            .group_by(Annotation.tweet_id, Annotation.task, Annotation.person)
            .having(func.max(Annotation.id) == func.max(label))
            .subquery()
        )
        chosen = select(held.c.tweet_id).distinct().subquery()
    place = and_(IndexedTweet.dataset_id == dataset_id, IndexedTweet.tweet_id == chosen.c.tweet_id)
    return {*session.scalars(select(IndexedTweet.id).join(chosen, place))}


def has_label(tweet: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether anybody's label of the tweet (`IndexedTweet.id` in a row of a query) holds."""
    return exists().where(*held_answers(tweet, kinds=(Kind.LABEL,)).conditions)


def waiting_decisions(
    session: Session,
    dataset_id: int,
    *,
    tasks: Collection[str] = TASKS,
    after: tuple[str, str] | None = None,
    limit: int = 50,
) -> list[WaitingDecision]:
    """Tweets whose current labels differ and that no decision holds for, by (tweet id, task), those behind `after`."""
    query = disagreements(dataset_id, tasks)
    question = query.selected_columns
    if after is not None:
        query = query.where(tuple_(question.tweet_id, question.task) > after)
    rows = session.execute(query.order_by(question.tweet_id, question.task).limit(limit))
    found = [(row.tweet_id, row.task) for row in rows]
    asked = AnnotationFilter(dataset_id=dataset_id, tasks=tasks, tweet_ids=[tweet_id for tweet_id, _ in found])
    labels = current_labels(session, asked)
    return [
        WaitingDecision(
            dataset_id, tweet_id, task, [each for each in labels if (each.tweet_id, each.task) == (tweet_id, task)]
        )
        for tweet_id, task in found
    ]


_Question = tuple[int, str, str]
_READ = [name for name in CurrentLabel._fields if name != "random"]
_BEFORE_RANDOM = CurrentLabel._fields.index("random")


def _held_labels(wanted: AnnotationFilter) -> Select[Any]:
    """Rows with the columns of `_READ`, then whether an answer to the question came from the random queue, the person's first
    answer to it, and the tweet's `random_key` (None before it is indexed).

    One pass over the answers, in the order of their index. The filter's queues are asked of the answers that hold.
    """
    question = (Annotation.dataset_id, Annotation.tweet_id, Annotation.task, Annotation.person)
    by_lot = case((Annotation.queue == Queue.RANDOM, 1), else_=0)
    said = (
        select(
            *(getattr(Annotation, name) for name in _READ),
            Annotation.kind,
            func.max(by_lot).over(partition_by=question).label("drawn"),
            func.min(Annotation.id).over(partition_by=question).label("first"),
            func.max(Annotation.id).over(partition_by=question).label("newest"),
        )
        .where(Annotation.kind != Kind.DECISION, *replace(wanted, queues=None).conditions())
        .subquery()
    )
    held = [said.c.id == said.c.newest, said.c.kind == Kind.LABEL]
    if wanted.queues is not None:
        held.append(said.c.queue.in_(wanted.queues))
    return (
        select(*(said.c[name] for name in (*_READ, "drawn", "first")), IndexedTweet.random_key)
        .outerjoin(IndexedTweet, and_(*of_tweet(IndexedTweet, said.c)))
        .where(*held)
        .order_by(said.c.dataset_id, said.c.tweet_id, said.c.task, said.c.person)
    )


class _Walk(NamedTuple):
    """How far the random queue brought a person on the page, answer by answer."""

    ids: list[int]
    """Of her annotations from it, ascending."""
    reached: list[int]
    """The greatest `random_key` of that annotation and those after it."""

    def passes(self, random_key: int | None, first_id: int) -> bool:
        """Whether the queue has come past a tweet after she had said something of it elsewhere: it would have asked her."""
        place = bisect_right(self.ids, first_id)
        return random_key is not None and place < len(self.ids) and random_key <= self.reached[place]


_NOWHERE = _Walk([], [])


def _follow_walks(session: Session, wanted: AnnotationFilter) -> dict[tuple[int, str], _Walk]:
    """(data set, person) -> how far the random queue brought each of the filter's people, in any task."""
    query = (
        select(Annotation.dataset_id, Annotation.person, Annotation.id, IndexedTweet.random_key)
        .join(IndexedTweet, and_(*of_tweet(IndexedTweet, Annotation)))
        .where(Annotation.queue == Queue.RANDOM, Annotation.source == PAGE, Annotation.kind != Kind.DECISION)
        .where(*AnnotationFilter(dataset_id=wanted.dataset_id, people=wanted.people).conditions())
        .order_by(Annotation.id)
    )
    steps: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for dataset, person, id_, key in session.execute(query):
        steps.setdefault((dataset, person), []).append((id_, key))
    return {
        who: _Walk([id_ for id_, _ in taken], [*accumulate((key for _, key in reversed(taken)), max)][::-1])
        for who, taken in steps.items()
    }


def _decisions(session: Session, wanted: AnnotationFilter) -> dict[_Question, int | None]:
    """The newest decision of each question; None where it says that none holds."""
    query = select(Annotation).where(*wanted.conditions(), Annotation.kind == Kind.DECISION).order_by(Annotation.id)
    return {(row.dataset_id, row.tweet_id, row.task): row.value for row in session.scalars(query)}


def _settle(question: _Question, labels: Sequence[CurrentLabel], decision: int | None) -> SettledLabel | None:
    ones = sum(label.value for label in labels)
    zeros = len(labels) - ones
    if decision is None and ones == zeros:
        return None
    value = decision if decision is not None else int(ones > zeros)
    return SettledLabel(
        *question, value, zeros, ones, decision is not None, any(label.random for label in labels)
    )  # fmt: skip
