"""How good: figures from random labels alone, by model version, and the share of each relation in the whole collection."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from infra.catalog.browse import list_pairs
from infra.catalog.current_labels import count_work
from infra.catalog.review_tables import Queue
from itrp.evaluation.prediction_powered import IMBALANCED
from itrp.labels import RELATIONS
from serving.review.desk import DeskOf, VisitOf
from serving.review.measured import collect_sample, measure
from serving.review.tweets import choose_dataset

router = APIRouter()
FEW = 20
"""Labels below which simulations saw intervals that cover too seldom."""
ENOUGH = 100
"""Random labels with which an estimate is about 10 points to either side."""


@router.get("/how-good")
def show_figures(request: Request, desk: DeskOf, visit: VisitOf, dataset: str = "", models: str = "") -> HTMLResponse:
    """Figures and estimates of one pair of versions."""
    with desk.catalog.session() as session:
        datasets, chosen = choose_dataset(session, dataset)
        if chosen is None:
            return desk.show(request, visit, "empty.html.jinja")
        pairs = list_pairs(session, chosen.id)
        pair = next((each for each in pairs if str(each.id) == models), pairs[0] if pairs else None)
        labels = desk.labels.read(session, chosen.id)
        sample = collect_sample(session, chosen.id, pair, labels) if pair else None
        skips = sum(each.skips for each in count_work(session, chosen.id) if each.queue == Queue.RANDOM)
    labelled, random = {each.tweet_id for each in labels}, {each.tweet_id for each in labels if each.random}
    found = measure(sample) if sample else None
    return desk.show(
        request,
        visit,
        "how_good.html.jinja",
        datasets=[each.name for each in datasets],
        dataset=chosen.name,
        pairs=pairs,
        pair=pair,
        found=found,
        random=len(random),
        held_out=sample.held_out if sample else False,
        others=len(labelled - random),
        unlike=any(each.share.imbalance > IMBALANCED for each in found.estimates) if found else False,
        skips=skips,
        few=FEW,
        enough=ENOUGH,
        codes=tuple(RELATIONS),
    )
