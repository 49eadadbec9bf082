"""What people say of some tweets, as export files hold it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter, annotation_history
from infra.catalog.current_labels import SettledLabel, current_labels, settled_labels
from infra.catalog.review_tables import Annotation, Kind, Queue
from itrp.datasets.label_files import HumanLabel
from itrp.labels import Task

HISTORY = 1000
"""Rows of the history that are read at a time."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A tweet's settled labels by task; a task that nobody has labelled, or that people are even about, is missing."""

    labels: dict[Task, SettledLabel]

    def value(self, task: Task) -> int | None:
        """0 or 1 for either task."""
        found = self.labels.get(task)
        return found.value if found else None

    def people(self, task: Task) -> int:
        """With a current label."""
        found = self.labels.get(task)
        return found.zeros + found.ones if found else 0


def read_settled(session: Session, dataset_id: int, tweet_ids: Collection[str]) -> dict[str, Settled]:
    """Tweet id -> settled labels, of those that have any."""
    found: dict[str, Settled] = {}
    for label in settled_labels(session, AnnotationFilter(dataset_id=dataset_id, tweet_ids=tweet_ids)):
        found.setdefault(label.tweet_id, Settled({})).labels[Task(label.task)] = label
    return found


def read_said(session: Session, dataset_id: int, tweet_ids: Collection[str]) -> dict[str, list[HumanLabel]]:
    """Tweet id -> what holds now of each person's labels and skips, and of decisions. `line` is 0.

    A label that counts for measuring has the queue random, whichever it was given in.
    """
    asked = AnnotationFilter(dataset_id=dataset_id, tweet_ids=tweet_ids)
    measuring = {label.id for label in current_labels(session, asked) if label.random}
    found: dict[str, list[HumanLabel]] = {}
    for row in _keep_newest(_read_history(session, asked)):
        if row.kind != Kind.WITHDRAWAL and (row.kind != Kind.DECISION or row.value is not None):
            queue = Queue.RANDOM if row.id in measuring else row.queue
            found.setdefault(row.tweet_id, []).append(_as_label(row, queue))
    return found


def _read_history(session: Session, asked: AnnotationFilter) -> Iterator[Annotation]:
    """The newest first."""
    before: int | None = None
    while rows := annotation_history(session, asked, before=before, limit=HISTORY):
        yield from rows
        before = rows[-1].id


def _keep_newest(rows: Iterator[Annotation]) -> Sequence[Annotation]:
    """The newest row of each person, tweet and task, and the newest decision; in the order they were said."""
    newest: dict[tuple[str, str, str], Annotation] = {}
    for row in rows:
        newest.setdefault((row.tweet_id, row.task, "" if row.kind == Kind.DECISION else row.person), row)
    return sorted(newest.values(), key=lambda row: row.id)


def _as_label(row: Annotation, queue: str) -> HumanLabel:
    return HumanLabel(
        line=0,
        tweet_id=row.tweet_id,
        task=Task(row.task),
        value=row.value,
        person=row.person,
        queue=queue,
        seconds=row.seconds,
        note=row.note or "",
        guideline=row.guideline,
        is_decision=row.kind == Kind.DECISION,
    )
