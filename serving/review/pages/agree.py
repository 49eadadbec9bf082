"""Agree: how far people give the same answers, and the tweets where they do not, for somebody to decide."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from infra.catalog.annotations import NewAnnotation, newest_annotation, record_annotations
from infra.catalog.browse import get_tweet
from infra.catalog.current_labels import CurrentLabel, Work, count_work, waiting_decisions
from infra.catalog.review_tables import TASKS, Kind, Queue
from infra.catalog.tables import Dataset
from itrp.evaluation.annotator_agreement import Grade, PeopleAgreement, grade_alpha, measure_agreement
from itrp.labels import GUIDELINE_VERSION
from serving.review.desk import DeskOf, FormOf, VisitOf, go
from serving.review.forms import clean_text
from serving.review.guidelines import QUESTIONS
from serving.review.questions import NOTE_CHARACTERS
from serving.review.rendering import make_link
from serving.review.tweets import choose_dataset, require_tweet

router = APIRouter()
PAGE = 20
"""Disagreements a page."""
GRADE_WORDS = {
    Grade.RELIABLE: "Labels like these can be relied on.",
    Grade.TENTATIVE: "Good enough for cautious conclusions alone.",
    Grade.NOT_RELIABLE: "Draw no conclusions from such labels: look at the tweets below together, and agree on the question.",
}
"""What each grade allows (Krippendorff 2004, page 241)."""
Answers = tuple[tuple[str, str, int], ...]
"""Tweet, person and value of each label."""


@router.get("/agree")
def show_agreement(
    request: Request, desk: DeskOf, visit: VisitOf, dataset: str = "", after: str = "", task: str = ""
) -> HTMLResponse:
    """Alpha of both tasks, who did what, and what waits for a decision."""
    place = (after, task) if after and task in TASKS else None
    with desk.catalog.session() as session:
        datasets, chosen = choose_dataset(session, dataset)
        if chosen is None:
            return desk.show(request, visit, "empty.html.jinja")
        labels = [each for each in desk.labels.read(session, chosen.id) if each.random]
        work = count_work(session, chosen.id)
        waiting = waiting_decisions(session, chosen.id, after=place, limit=PAGE + 1)
        cases = [_describe_case(session, chosen, each) for each in waiting[:PAGE]]
        last = newest_annotation(session)
    return desk.show(
        request,
        visit,
        "agree.html.jinja",
        datasets=[each.name for each in datasets],
        dataset=chosen.name,
        grades=GRADE_WORDS,
        lowest=lambda found: grade_alpha(found.low),
        tasks=[(each, _measure(_answers_of(labels, each.task))) for each in QUESTIONS],
        work=_sum_work(work),
        cases=cases,
        more=(waiting[PAGE - 1].tweet_id, waiting[PAGE - 1].task) if len(waiting) > PAGE else None,
        last=last,
    )


def _answers_of(labels: Sequence[CurrentLabel], task: str) -> Answers:
    return tuple((each.tweet_id, each.person, each.value) for each in labels if each.task == task)


@lru_cache(maxsize=16)
def _measure(answers: Answers) -> PeopleAgreement:
    """The same answers agree as before: the bootstrap is seeded."""
    items, people, values = zip(*answers, strict=True) if answers else ((), (), ())
    return measure_agreement(items, people, values)


def _sum_work(work: Sequence[Work]) -> list[dict[str, Any]]:
    """By person: tweets, labels, skips, seconds, and how many tweets came by lot."""
    found: dict[str, dict[str, Any]] = {}
    for each in work:
        sums = found.setdefault(each.person, {"person": each.person, "random": 0, **dict.fromkeys(_SUMMED, 0)})
        for name in _SUMMED:
            sums[name] += getattr(each, name)
        if each.queue == Queue.RANDOM:
            sums["random"] += each.tweets
    return sorted(found.values(), key=lambda sums: sums["person"])


_SUMMED = ("tweets", "labels", "skips", "seconds")


def _describe_case(session: Session, dataset: Dataset, case: Any) -> dict[str, Any]:
    """A disagreement as the page shows it."""
    tweet = get_tweet(session, dataset.id, case.tweet_id)
    question = next(each for each in QUESTIONS if each.task == case.task)
    return {
        "tweet_id": case.tweet_id,
        "text": tweet.text if tweet else "",
        "task": case.task,
        "question": question.short,
        "answers": case.answers,
    }


@router.post("/agree/{dataset}/{tweet_id}")
def decide(desk: DeskOf, visit: VisitOf, form: FormOf, dataset: str, tweet_id: str) -> Response:
    """Enter what holds from now on, with the reason."""
    task, value = form.get("task", ""), form.get("value", "")
    if task not in TASKS or value not in ("0", "1"):
        raise HTTPException(400, "A decision is yes or no to one of the two questions.")
    reason = clean_text(form.get("reason", ""), NOTE_CHARACTERS)
    if not reason:
        return go(make_link("/agree", dataset=dataset, told="no_reason"))
    told = "\0".join(("decide", visit.person, dataset, tweet_id, task, form.get("last", "")))
    with desk.catalog.session() as session:
        known, _ = require_tweet(session, dataset, tweet_id)
        decision = NewAnnotation(
            dataset_id=known.id,
            tweet_id=tweet_id,
            task=task,
            kind=Kind.DECISION,
            value=int(value),
            person=visit.person,
            queue=Queue.DISAGREE,
            guideline=GUIDELINE_VERSION,
            token=hashlib.sha256(told.encode()).hexdigest(),
            note=reason,
        )
        record_annotations(session, [decision])
    return go(make_link("/agree", dataset=dataset, told="decided"))
