"""Label: a queue is chosen, one tweet at a time is asked, blind; the answer is entered once, and can be taken back."""

import hashlib
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.catalog.annotations import record_annotations, undo
from infra.catalog.queues import count_waiting, next_tweets
from infra.catalog.review_tables import Annotation, Queue
from infra.catalog.tables import Dataset
from infra.errors import ReviewError
from itrp.labels import GUIDELINE_VERSION
from serving.review.access import Visit
from serving.review.desk import Desk, DeskOf, FormOf, VisitOf, go
from serving.review.guidelines import ADVICE, EXAMPLES, QUESTIONS
from serving.review.questions import BROWSED, QUEUES, QueueWords, ShownTweet, find_queue, read_answers, read_shown
from serving.review.rendering import make_link
from serving.review.tweets import choose_dataset, count_answered, find_own_answer, newest_of, require_tweet

router = APIRouter()
GOAL = 100
"""Labels that one sets out for: nobody is to look at a bar that does not move."""
BESIDE = 4
"""Examples beside the questions; the page of the guidelines has all."""


@dataclass(frozen=True)
class QueueState:
    """A queue as it stands for a person."""

    queue: QueueWords
    done: int
    """Tweets she has answered or skipped."""
    left: int
    """Tweets that wait for her, up to her next full hundred."""
    more: bool
    """Whether there may be more than those."""


@router.get("/label")
def begin(
    request: Request, desk: DeskOf, visit: VisitOf, dataset: str = "", queue: str = "", told: str = ""
) -> Response:
    """The next tweet of a queue; without one, the choice of queues."""
    wanted = find_queue(queue)
    with desk.catalog.session() as session:
        datasets, chosen = choose_dataset(session, dataset)
        if chosen is not None and wanted is not None and wanted is not BROWSED:
            address = _find_next(session, desk, chosen, wanted, visit)
            if address is not None:
                return go(address + (f"&told={told}" if told.isidentifier() else ""))
        queues = [_describe(session, desk, chosen, each, visit) for each in QUEUES] if chosen else []
    return desk.show(
        request,
        visit,
        "queues.html.jinja",
        datasets=[each.name for each in datasets],
        dataset=chosen.name if chosen else "",
        queues=[each for each in queues if each is not None],
        finished=wanted if wanted is not BROWSED else None,
    )


def _find_next(session: Session, desk: Desk, dataset: Dataset, queue: QueueWords, visit: Visit) -> str | None:
    """The address of the next tweet for this person; None when the queue has no more, or its models are not there."""
    try:
        found = next_tweets(session, queue.code, dataset.id, visit.person, people=desk.people)
    except ReviewError:
        return None
    return make_link("/label", dataset.name, found[0].tweet_id, queue=queue.code) if found else None


def _describe(session: Session, desk: Desk, dataset: Dataset, queue: QueueWords, visit: Visit) -> QueueState | None:
    """A queue as it stands for this person; None where the models it needs have labelled nothing."""
    done = count_answered(session, dataset.id, queue.code, visit.person)
    cap = GOAL - done % GOAL  # what is behind the goal need not be counted
    try:
        left = count_waiting(session, queue.code, dataset.id, visit.person, people=desk.people, cap=cap)
    except ReviewError:
        return None
    return QueueState(queue, done, left, left >= cap)


@router.get("/label/{dataset}/{tweet_id}")
def ask(
    request: Request, desk: DeskOf, visit: VisitOf, dataset: str, tweet_id: str, queue: str = Queue.BROWSE
) -> Response:
    """One tweet and both questions, without anybody's answer but the person's own."""
    words = find_queue(queue) or BROWSED
    with desk.catalog.session() as session:
        known, tweet = require_tweet(session, dataset, tweet_id)
        own = find_own_answer(session, known.id, tweet_id, visit.person)
        last = newest_of(session, visit.person)
        state = _describe(session, desk, known, words, visit) if words is not BROWSED else None
    shown = ShownTweet(visit.person, known.id, tweet_id, own.last)
    return desk.show(
        request,
        visit,
        "label.html.jinja",
        dataset=dataset,
        tweet_id=tweet_id,
        text=tweet.text,
        queue=words,
        done=state.done if state else 0,
        goal=state.done + state.left if state else 0,
        own=own.answers,
        note=own.note,
        shown=shown.sign(desk.seal),
        last=last,
        questions=QUESTIONS,
        rules=QUESTIONS,
        advice=ADVICE,
        examples=EXAMPLES[:BESIDE],
    )


@router.post("/label/undo")
def take_back(desk: DeskOf, visit: VisitOf, form: FormOf) -> Response:
    """Take back the person's newest answer, and show its tweet again."""
    words = find_queue(form.get("queue", "")) or BROWSED
    last = form.get("last", "")
    token = hashlib.sha256(f"undo\0{visit.person}\0{last}".encode()).hexdigest()
    with desk.catalog.session() as session:
        # sent a second time, it must not take back the answer before
        sent = session.scalars(select(Annotation).where(Annotation.token == token).limit(1)).first()
        taken = sent or undo(session, visit.person, token=token, guideline=GUIDELINE_VERSION)
        dataset = session.get(Dataset, taken.dataset_id) if taken else None
    if taken is None or dataset is None:
        return go(make_link("/label", dataset=form.get("dataset", ""), queue=words.code, told="nothing_to_undo"))
    return go(make_link("/label", dataset.name, taken.tweet_id, queue=taken.queue, told="undone"))


@router.post("/label/{dataset}/{tweet_id}")
def answer(desk: DeskOf, visit: VisitOf, form: FormOf, dataset: str, tweet_id: str) -> Response:
    """Enter an answer, once, and go on with the queue."""
    words = find_queue(form.get("queue", "")) or BROWSED
    found = read_shown(desk.seal, form.get("shown", ""), visit)
    here = make_link("/label", dataset, tweet_id, queue=words.code)
    with desk.catalog.session() as session:
        known, _ = require_tweet(session, dataset, tweet_id)
        if found is None or (found[0].dataset_id, found[0].tweet_id) != (known.id, tweet_id):
            raise HTTPException(403, "This form was made for somebody else or another tweet: load the page again.")
        rows = read_answers(form, found[0], found[1], words.code)
        if rows is None:
            return go(here + "&told=unanswered")
        entered = record_annotations(session, rows)
        own = find_own_answer(session, known.id, tweet_id, visit.person)
    if not entered and own.answers != {row.task: "unsure" if row.value is None else str(row.value) for row in rows}:
        return go(here + "&told=again")
    told = "skipped" if form.get("action") == "skip" else "saved"
    if words is BROWSED:
        return go(make_link("/tweets", dataset, tweet_id, told=told))
    return go(make_link("/label", dataset=dataset, queue=words.code, told=told))
