"""One tweet: text, picture, labels by model version, and everything people have said of it, which they can take back."""

import hashlib

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter, annotation_history, withdraw
from infra.catalog.queries import find_tweet
from infra.catalog.review_tables import TASKS, ModelPair, TweetLabel
from itrp.labels import GUIDELINE_VERSION
from serving.review.desk import DeskOf, FormOf, VisitOf, go
from serving.review.rendering import make_link
from serving.review.tweets import find_own_answer, require_tweet
from serving.review.views import CODES

router = APIRouter()


@router.get("/tweets/{dataset}/{tweet_id}")
def show_tweet(
    request: Request, desk: DeskOf, visit: VisitOf, dataset: str, tweet_id: str, people: bool = False
) -> HTMLResponse:
    """The tweet. What people said is shown on request, or once one has said something oneself."""
    with desk.catalog.session() as session:
        known, tweet = require_tweet(session, dataset, tweet_id)
        own = find_own_answer(session, known.id, tweet_id, visit.person)
        labels = _find_labels(session, tweet.id)
        history = annotation_history(session, AnnotationFilter(dataset_id=known.id, tweet_ids=[tweet_id]))
        origin = next((each for each in find_tweet(session, tweet_id) if each.dataset.id == known.id), None)
    shown = people or bool(own.answers)
    return desk.show(
        request,
        visit,
        "tweet.html.jinja",
        dataset=dataset,
        tweet=tweet,
        labels=labels,
        codes=CODES,
        own=own,
        history=history if shown else [],
        hidden=0 if shown else len(history),
        origin=origin,
    )


def _find_labels(session: Session, tweet: int) -> list[tuple[ModelPair, TweetLabel]]:
    """The tweet's labels by pair of model versions, the newest pair first."""
    query = (
        select(ModelPair, TweetLabel)
        .join(TweetLabel, TweetLabel.pair_id == ModelPair.id)
        .where(TweetLabel.tweet == tweet)
        .order_by(ModelPair.id.desc())
    )
    return [(pair, label) for pair, label in session.execute(query)]


@router.post("/tweets/{dataset}/{tweet_id}/withdraw")
def withdraw_own(desk: DeskOf, visit: VisitOf, form: FormOf, dataset: str, tweet_id: str) -> Response:
    """Take back one's own answers of the tweet: of one task, or of both."""
    task = form.get("task", "")
    if task not in ("", *TASKS):
        raise HTTPException(400, "There are the tasks text and image.")
    token = hashlib.sha256(
        "\0".join(("withdraw", visit.person, tweet_id, task, form.get("last", ""))).encode()
    ).hexdigest()
    with desk.catalog.session() as session:
        known, _ = require_tweet(session, dataset, tweet_id)
        withdraw(
            session,
            known.id,
            tweet_id,
            visit.person,
            token=token,
            guideline=GUIDELINE_VERSION,
            tasks=[task] if task else TASKS,
        )
    return go(make_link("/tweets", dataset, tweet_id, told="withdrawn", people="1"))
