"""Which objects of the landing zone are known: by what a listing tells, and where that has changed, by their content."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import select, update

from flows.jobs.ingestion.commit import Target, slices
from infra.catalog.tables import Dataset, LandingObject
from infra.errors import ObjectMissingError
from infra.object_store import ObjectInfo, ObjectStore, content_of, listed_etag, may_be_same

logger = logging.getLogger(__name__)


def select_new(target: Target, store: ObjectStore, objects: Iterable[ObjectInfo]) -> list[ObjectInfo]:
    """Those objects whose key and content the data set has not swallowed, in the order given.

    A file that only looks new (copying a folder changes times) is read once, and known by its new time from then on. One
    that was ingested before this version noted contents is read once too, so that its folder can be copied.
    """
    new: list[ObjectInfo] = []
    for some in slices([*objects]):
        known = _read_known(target, some)
        learnt: dict[int, str] = {}
        new += [info for info in some if not _is_known(store, info, known[info.key], learnt)]
        _note(target, learnt)
    return new


def is_unchanged(store: ObjectStore, info: ObjectInfo, etag: str) -> bool:
    """Whether the object has the content it had when its ETag was noted in the catalog."""
    if listed_etag(etag) == info.etag:
        return True
    return may_be_same(info.etag, etag) and content_of(store.identify(info)) == content_of(etag)


def _is_known(store: ObjectStore, info: ObjectInfo, rows: Sequence[tuple[int, str]], learnt: dict[int, str]) -> bool:
    """Whether one of the rows (id, ETag) is of this object's content. `learnt`: row id -> ETag it should have."""
    same = next((row for row in rows if listed_etag(row[1]) == info.etag), None)
    alike = [row for row in rows if may_be_same(info.etag, row[1])]
    if (same is None and not alike) or (same is not None and content_of(same[1]) is not None):
        return same is not None
    try:
        now = store.identify(info)
    except ObjectMissingError:
        return same is not None
    if same is None:
        same = next((row for row in alike if content_of(row[1]) == content_of(now)), None)
    elif listed_etag(now) != info.etag:
        return True  # changed since it was listed: the next run reads it
    if same is not None and same[1] != now:
        learnt[same[0]] = now
    return same is not None


def _read_known(target: Target, objects: Sequence[ObjectInfo]) -> dict[str, list[tuple[int, str]]]:
    """Key -> (row id, ETag) of the versions that the data set has swallowed."""
    known: dict[str, list[tuple[int, str]]] = defaultdict(list)
    query = (
        select(LandingObject.id, LandingObject.key, LandingObject.etag)
        .join(Dataset, Dataset.id == LandingObject.dataset_id)
        .where(Dataset.name == target.name, LandingObject.key.in_([info.key for info in objects]))
    )
    with target.catalog.session() as session:
        for row_id, key, etag in session.execute(query):
            known[key].append((row_id, etag))
    return known


def _note(target: Target, learnt: dict[int, str]) -> None:
    if not learnt:
        return
    with target.catalog.session() as session:
        for row_id, etag in learnt.items():
            session.execute(update(LandingObject).where(LandingObject.id == row_id).values(etag=etag))
    logger.info("noted time and content of %d known batch files", len(learnt))
