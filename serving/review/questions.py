"""Queues and shown tweets as the pages speak of them, and what a sent form says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.catalog.annotations import NewAnnotation
from infra.catalog.review_tables import TASKS, Kind, Queue
from itrp.labels import GUIDELINE_VERSION
from serving.review.access import Visit
from serving.review.forms import clean_text
from serving.review.seal import SHOWN, Seal

LONGEST_LOOK = 600.0
"""Seconds: who took longer was away, and how long she looked is not known."""
NOTE_CHARACTERS = 1_000
UNSURE = "unsure"
"""Answer to a question that the person cannot tell: a skip of this task."""


@dataclass(frozen=True)
class QueueWords:
    """A queue in plain words."""

    code: Queue
    name: str
    what: str
    why: str


QUEUES = (
    QueueWords(
        Queue.RANDOM,
        "Random tweets",
        "Tweets drawn by lot. Begin here: a hundred of them say how good the labels are and how many tweets of each kind "
        "there are, give or take a few points.",
        "Only labels of this queue count for measuring: every tweet had the same chance.",
    ),
    QueueWords(
        Queue.LEAST_CERTAIN,
        "Least certain tweets",
        "Tweets the models are least sure of. Their labels teach a model the most.",
        "Hard tweets are over-represented: these labels train, and never measure.",
    ),
    QueueWords(
        Queue.DISAGREE,
        "Tweets two models see differently",
        "Two versions of the models give these different labels: see who is right.",
        "Only disputed tweets: these labels compare models and train, and never measure.",
    ),
    QueueWords(
        Queue.CLUSTERS,
        "Twelve of each kind",
        "Twelve tweets of each relation the models tell apart: enough to see whether the names fit.",
        "Rare kinds are over-represented: these labels never measure.",
    ),
    QueueWords(
        Queue.ERRORS,
        "Doubtful labels",
        "Tweets whose labels an analysis doubts (itrp analyse errors fills this queue).",
        "Chosen for being doubtful: these labels correct, and never measure.",
    ),
)
"""In the order they are offered."""
BROWSED = QueueWords(
    Queue.BROWSE,
    "A tweet you have looked up",
    "",
    "Labels of tweets somebody has chosen correct and train, and never measure.",
)
"""A tweet that a person labels from its own page."""


def find_queue(code: str) -> QueueWords | None:
    """The queue of that code; None for no such."""
    return next((each for each in (*QUEUES, BROWSED) if each.code == code), None)


@dataclass(frozen=True)
class ShownTweet:
    """A tweet put before a person: what the server recognises when the answer comes, and when it was shown."""

    person: str
    dataset_id: int
    tweet_id: str
    last: int
    """The person's newest annotation of the tweet when it was shown; 0 before her first."""

    @property
    def token(self) -> str:
        """The same for the same question: a form that is sent twice, or from two tabs, is entered once."""
        told = "\0".join((self.person, str(self.dataset_id), self.tweet_id, str(self.last)))
        return hashlib.sha256(told.encode()).hexdigest()

    def sign(self, seal: Seal) -> str:
        """What the form carries."""
        return seal.sign(SHOWN, [self.person, self.dataset_id, self.tweet_id, self.last])


def read_shown(seal: Seal, text: str, visit: Visit) -> tuple[ShownTweet, float | None] | None:
    """The tweet a form was made for, and the seconds since; None for a form that is not this person's.

    Seconds are None past LONGEST_LOOK.
    """
    found = seal.read(SHOWN, text)
    if found is None or found[0][0] != visit.person:
        return None
    seconds = (datetime.now(UTC) - found[1]).total_seconds()
    return ShownTweet(*found[0]), max(seconds, 0.0) if seconds <= LONGEST_LOOK else None


def read_answers(
    fields: Mapping[str, str], shown: ShownTweet, seconds: float | None, queue: Queue
) -> list[NewAnnotation] | None:
    """What the form says, one row a task: an answer or a skip; None when a question has neither."""
    rows = []
    for task in TASKS:
        answer = UNSURE if fields.get("action") == "skip" else fields.get(task)
        if answer not in ("0", "1", UNSURE):
            return None
        rows.append(
            NewAnnotation(
                dataset_id=shown.dataset_id,
                tweet_id=shown.tweet_id,
                task=task,
                kind=Kind.SKIP if answer == UNSURE else Kind.LABEL,
                value=None if answer == UNSURE else int(answer),
                person=shown.person,
                queue=queue,
                guideline=GUIDELINE_VERSION,
                token=shown.token,
                seconds=seconds,
                note=clean_text(fields.get("note", ""), NOTE_CHARACTERS) or None,
            )
        )
    return rows
