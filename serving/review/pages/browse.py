"""Browse: tweets with pictures and the models' labels, filtered and ordered; people's labels only when they are asked for."""

from collections import defaultdict
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter
from infra.catalog.browse import BrowsedTweet, TweetPage, browse, count_tweets, list_languages, list_pairs
from infra.catalog.current_labels import current_labels
from infra.catalog.tweet_filter import Order
from infra.errors import ReviewError
from serving.review.desk import DeskOf, VisitOf
from serving.review.tweets import choose_dataset
from serving.review.views import CODES, PAGE, View, make_filter, read_view

router = APIRouter()


@router.get("/browse")
def show_view(request: Request, desk: DeskOf, visit: VisitOf) -> HTMLResponse:
    """A page of a view. A cursor of another view leads to its beginning."""
    with desk.catalog.session() as session:
        datasets, chosen = choose_dataset(session, request.query_params.get("dataset"))
        if chosen is None:
            return desk.show(request, visit, "empty.html.jinja")
        pairs = list_pairs(session, chosen.id)
        view = read_view(request.query_params, chosen.name, pairs)
        wanted = make_filter(view, chosen.id)
        page = _find_page(session, view, chosen.id)
        count = count_tweets(session, wanted)
        languages = list_languages(session, chosen.id)
        answers = _find_answers(session, chosen.id, page.tweets) if view.labels else {}
    return desk.show(
        request,
        visit,
        "browse.html.jinja",
        view=view,
        datasets=[each.name for each in datasets],
        pairs=pairs,
        pair=next((each for each in pairs if str(each.id) == view.models), None),
        languages=languages,
        codes=CODES,
        page=page,
        count=count,
        answers=answers,
    )


def _find_page(session: Session, view: View, dataset_id: int) -> TweetPage:
    wanted, order, seed = make_filter(view, dataset_id), Order(view.order), int(view.seed)
    try:
        return browse(
            session, wanted, order, seed=seed, after=view.after or None, before=view.before or None, limit=PAGE
        )
    except ReviewError:  # a cursor that was made for another order, or by hand
        return browse(session, wanted, order, seed=seed, limit=PAGE)


def _find_answers(session: Session, dataset_id: int, tweets: Sequence[BrowsedTweet]) -> dict[str, list[str]]:
    """Tweet id -> what people say of it, one sentence a person."""
    if not tweets:
        return {}
    said: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    wanted = AnnotationFilter(dataset_id=dataset_id, tweet_ids=[tweet.tweet_id for tweet in tweets])
    for each in current_labels(session, wanted):
        said[each.tweet_id, each.person][each.task] = each.value
    found: dict[str, list[str]] = defaultdict(list)
    for (tweet_id, person), answers in said.items():
        words = [
            f"{name} {'yes' if answers[task] else 'no'}"
            for task, name in (("text", "shown"), ("image", "adds"))
            if task in answers
        ]
        found[tweet_id].append(f"{person}: {', '.join(words)}")
    return found
