"""Home: what there is, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.catalog.current_labels import CurrentLabel, disagreements
from infra.catalog.review_tables import IndexedLabelFile, IndexedShard
from infra.catalog.tables import Dataset, LabelFile, Shard
from serving.review.desk import DeskOf, VisitOf
from serving.review.pages.how_good import ENOUGH
from serving.review.tweets import list_datasets

router = APIRouter()


@dataclass(frozen=True)
class Holding:
    """What there is of a data set."""

    name: str
    tweets: int
    indexed: int
    """Of these, those that can be looked at already."""
    labelled: int
    """By the pair of models that has labelled most of them."""
    people: int
    """Tweets with a label of a person."""
    random: int
    """Of these, with one that chance brought."""
    mine: int
    persons: int
    disagreements: int


@router.get("/")
def show_home(request: Request, desk: DeskOf, visit: VisitOf) -> HTMLResponse:
    """Data sets with their counts, the next step, and how far the index is."""
    with desk.catalog.session() as session:
        holdings = [
            _count(session, each, visit.person, desk.labels.read(session, each.id)) for each in list_datasets(session)
        ]
        waiting = _count_waiting(session)
    return desk.show(
        request,
        visit,
        "home.html.jinja",
        holdings=holdings,
        waiting=waiting,
        index=desk.keeper.state,
        enough=ENOUGH,
        people=desk.people,
    )


def _count(session: Session, dataset: Dataset, person: str, labels: Sequence[CurrentLabel]) -> Holding:
    shards = select(func.sum(Shard.pairs)).where(Shard.dataset_id == dataset.id)
    indexed = select(func.sum(IndexedShard.tweets)).join(Shard).where(Shard.dataset_id == dataset.id)
    by_pair = (
        select(func.sum(LabelFile.pairs).label("pairs"))
        .join(Shard, Shard.id == LabelFile.shard_id)
        .where(Shard.dataset_id == dataset.id)
        .group_by(LabelFile.text_version, LabelFile.image_version)
        .subquery()
    )
    disputed = disagreements(dataset.id)
    return Holding(
        name=dataset.name,
        tweets=session.scalar(shards) or 0,
        indexed=session.scalar(indexed) or 0,
        labelled=session.scalar(select(func.max(by_pair.c.pairs))) or 0,
        people=len({each.tweet_id for each in labels}),
        random=len({each.tweet_id for each in labels if each.random}),
        mine=len({each.tweet_id for each in labels if each.person == person}),
        persons=len({each.person for each in labels}),
        disagreements=session.scalar(select(func.count()).select_from(disputed.limit(100).subquery())) or 0,
    )


def _count_waiting(session: Session) -> int:
    """Shards and label files that are not in the index yet."""
    shards = select(func.count(Shard.id)).where(Shard.id.not_in(select(IndexedShard.shard_id)))
    files = select(func.count(LabelFile.id)).where(LabelFile.id.not_in(select(IndexedLabelFile.label_file_id)))
    return (session.scalar(shards) or 0) + (session.scalar(files) or 0)
