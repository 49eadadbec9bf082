"""What people say of tweets: recorded and withdrawn (never changed), and what holds now."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from infra.catalog.people import find_or_add_person
from infra.catalog.queries import dialect_insert, in_parts
from infra.catalog.review_tables import TASKS, Annotation, IndexedTweet, Kind, Queue
from infra.catalog.tables import StoredTweet, now
from infra.errors import ReviewError

PAGE = "page"
"""`source` of what was said on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationFilter:
    """Which rows are asked for; None restricts nothing."""

    dataset_id: int | None = None
    tasks: Collection[str] = TASKS
    queues: Collection[str] | None = None
    people: Collection[str] | None = None
    tweet_ids: Collection[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What the rows of `Annotation` have to fulfil."""
        chosen: list[ColumnElement[bool]] = [Annotation.task.in_(self.tasks)]
        if self.dataset_id is not None:
            chosen.append(Annotation.dataset_id == self.dataset_id)
        for column, values in (
            (Annotation.queue, self.queues),
            (Annotation.person, self.people),
            (Annotation.tweet_id, self.tweet_ids),
        ):
            if values is not None:
                chosen.append(column.in_(values))
        return chosen


EVERYTHING = AnnotationFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnnotation:
    """One thing a person says of a tweet for one task; the columns of `Annotation`. Raises ReviewError for what cannot be."""

    dataset_id: int
    tweet_id: str
    task: str
    kind: str
    value: int | None
    person: str
    queue: str
    guideline: str
    token: str
    """Of the form or the file's row: with the task, it is entered once. A changed answer needs another token."""
    seconds: float | None = None
    note: str | None = None
    source: str = PAGE

    def __post_init__(self) -> None:
        _check_choice("task", self.task, TASKS)
        _check_choice("kind", self.kind, [*Kind])
        _check_choice("queue", self.queue, [*Queue])
        values: dict[str, tuple[int | None, ...]] = {Kind.LABEL: (0, 1), Kind.DECISION: (0, 1, None)}
        _check_choice(f"value of a {self.kind}", self.value, values.get(self.kind, (None,)))
        if not 1 <= len(self.token) <= 64:
            raise ReviewError(f"expected a token of 1 to 64 characters, found {len(self.token)}: make another one")


def record_annotations(session: Session, annotations: Sequence[NewAnnotation]) -> int:
    """Enter what people said, and say how many rows went in; what has a known token and task is left out, without an error.

    People whom the catalog does not know are added. Raises ReviewError, and enters nothing, when a tweet is not stored.
    """
    _check_tweets(session, annotations)
    for person in dict.fromkeys(each.person for each in annotations):
        find_or_add_person(session, person)
    entered, moment = 0, now()
    for some in in_parts(annotations):
        rows = [{**_columns(each), "created_at": moment} for each in some]
        statement = dialect_insert(session, Annotation).values(rows).on_conflict_do_nothing(
            index_elements=("token", "task")
        )  # fmt: skip
        entered += len(session.execute(statement.returning(Annotation.id)).all())
    return entered


def known_tweets(session: Session, dataset_id: int, tweet_ids: Iterable[str]) -> set[str]:
    """Those of the ids that the data set holds a tweet of."""
    found: set[str] = set()
    for some in in_parts(tweet_ids):
        query = select(StoredTweet.tweet_id).where(
            StoredTweet.dataset_id == dataset_id, StoredTweet.tweet_id.in_(some)
        )  # fmt: skip
        found.update(session.scalars(query))
    return found


def withdraw(
    session: Session,
    dataset_id: int,
    tweet_id: str,
    person: str,
    *,
    token: str,
    guideline: str,
    tasks: Collection[str] = TASKS,
    source: str = PAGE,
) -> int:
    """Take back the person's answers and skips of a tweet in these tasks: as many rows as the number returned."""
    wanted = AnnotationFilter(dataset_id=dataset_id, tasks=tasks, people=[person], tweet_ids=[tweet_id])
    answers = Annotation.kind.in_((Kind.LABEL, Kind.SKIP))
    held = select(Annotation).where(*wanted.conditions(), answers, holds(Annotation))
    rows = [
        NewAnnotation(
            dataset_id=dataset_id,
            tweet_id=tweet_id,
            task=row.task,
            kind=Kind.WITHDRAWAL,
            value=None,
            person=person,
            queue=row.queue,
            guideline=guideline,
            token=token,
            source=source,
        )
        for row in session.scalars(held.order_by(Annotation.id))
    ]
    return record_annotations(session, rows)


def undo(
    session: Session,
    person: str,
    *,
    token: str,
    guideline: str,
    dataset_id: int | None = None,
    queue: str | None = None,
) -> Annotation | None:
    """Take back the person's newest answer or skip that holds, in every task of its tweet: a row of it, None when none holds.

    Called again with another token it goes one tweet further back; with the same one it does nothing more.
    """
    done = select(Annotation).where(Annotation.token == token, Annotation.person == person)
    if (again := session.scalars(done.limit(1)).first()) is not None:
        return again
    query = select(Annotation).where(
        Annotation.person == person,
        Annotation.kind.in_((Kind.LABEL, Kind.SKIP)),
        holds(Annotation),
    )
    if dataset_id is not None:
        query = query.where(Annotation.dataset_id == dataset_id)
    if queue is not None:
        query = query.where(Annotation.queue == queue)
    last = session.scalars(query.order_by(Annotation.id.desc()).limit(1)).first()
    if last is not None:
        withdraw(session, last.dataset_id, last.tweet_id, person, token=token, guideline=guideline)
    return last


def annotation_history(
    session: Session, wanted: AnnotationFilter = EVERYTHING, *, before: int | None = None, limit: int = 1000
) -> list[Annotation]:
    """Everything that was said, the newest first: at most `limit` rows with an id under `before`."""
    query = select(Annotation).where(*wanted.conditions())
    if before is not None:
        query = query.where(Annotation.id < before)
    return [*session.scalars(query.order_by(Annotation.id.desc()).limit(limit))]


def count_labels(session: Session, *, after: int = 0, dataset_id: int | None = None) -> int:
    """Tweets that got a label by a row with an id past `after` (`newest_annotation`)."""
    tweets = select(Annotation.dataset_id, Annotation.tweet_id).where(
        Annotation.id > after, Annotation.kind == Kind.LABEL
    )  # fmt: skip
    if dataset_id is not None:
        tweets = tweets.where(Annotation.dataset_id == dataset_id)
    return session.scalar(select(func.count()).select_from(tweets.distinct().subquery())) or 0


def newest_annotation(session: Session) -> int:
    """Id of the newest row; 0 before the first."""
    return session.scalar(select(func.max(Annotation.id))) or 0


class HeldAnswers(NamedTuple):
    """Answers and skips of a tweet that hold, for a subquery about a row of another query."""

    said: type[Annotation]
    """An alias: one row an answer."""
    conditions: list[ColumnElement[bool]]


def held_answers(
    tweet: ColumnElement[int], *, tasks: Collection[str] = TASKS, kinds: Collection[Kind] = (Kind.LABEL, Kind.SKIP)
) -> HeldAnswers:
    """Answers of these kinds, in any of the tasks, of the tweet that is `IndexedTweet.id` in a row of the query around."""
    here = [_PLACE.id == tweet, *_SAID_THERE]
    return HeldAnswers(_SAID, [*here, _SAID.task.in_(tasks), _SAID.kind.in_(kinds), _SAID_HOLDS])


def _check_choice(what: str, found: object, choices: Collection[object]) -> None:
    if found not in choices:
        told = ", ".join("none" if each is None else str(each) for each in choices)
        raise ReviewError(f"expected as {what} one of {told}, found {found!r}: correct it")


def _check_tweets(session: Session, annotations: Sequence[NewAnnotation]) -> None:
    wanted: dict[int, set[str]] = {}
    for each in annotations:
        wanted.setdefault(each.dataset_id, set()).add(each.tweet_id)
    for dataset_id, tweet_ids in wanted.items():
        unknown = sorted(tweet_ids - known_tweets(session, dataset_id, tweet_ids))
        if unknown:
            raise ReviewError(
                f"expected ids of stored tweets, found {len(unknown)} others, such as {unknown[0]!r}: "
                "ingest these tweets first, or leave them out"
            )


def _columns(annotation: NewAnnotation) -> dict[str, Any]:
    return {name: getattr(annotation, name) for name in annotation.__dataclass_fields__}


def holds(said: Any) -> ColumnElement[bool]:
    """Whether no row of the same person, tweet and task is newer; `said` is `Annotation` or an alias.

    Asked row by row, by an index, rather than by joining groups: quick whatever a database knows of how many rows there are.
    """
    return ~exists().where(*same_answer(_NEWER, said), _NEWER.id > said.id)


def of_tweet(one: Any, other: Any) -> tuple[ColumnElement[bool], ...]:
    return (one.dataset_id == other.dataset_id, one.tweet_id == other.tweet_id)


def same_question(one: Any, other: Any) -> tuple[ColumnElement[bool], ...]:
    return (*of_tweet(one, other), one.task == other.task)


def same_answer(one: Any, other: Any) -> tuple[ColumnElement[bool], ...]:
    return (*same_question(one, other), one.person == other.person, one.kind != Kind.DECISION)


# made once: to make them anew for every view takes longer than to answer it
_NEWER, _SAID, _PLACE = aliased(Annotation), aliased(Annotation), aliased(IndexedTweet)
_SAID_THERE, _SAID_HOLDS = of_tweet(_SAID, _PLACE), holds(_SAID)
