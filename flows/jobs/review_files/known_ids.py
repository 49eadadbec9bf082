"""Which data set a file of labels is about, and which of its ids that data set holds."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from sqlalchemy import select

from flows.jobs.datasets import LANDING, REVIEWED
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset, in_parts
from infra.catalog.tables import Dataset, StoredTweet
from itrp.data.rounded_ids import SPREADSHEET_DIGITS, find_rounding, is_long
from itrp.datasets.label_files import HumanLabel, LabelRow
from itrp.errors import WrongUseError
from serving.errors import NotFoundError

LOOKED_AT = 2000
"""Answers of a file by which its data set is found."""
TRIED, HINTS = 20, 3
"""Rounded ids that stored ones are looked up for, and those that are told with what they may be."""


def choose_dataset(catalog: Catalog, rows: Iterable[LabelRow], name: str | None) -> Dataset:
    """The named data set; without a name the one that holds most of the first ids, the landing zone's of equal ones.

    Raises NotFoundError for a name that does not exist, and where no data set holds any of the ids; WrongUseError for the
    data set that is made of the labels.
    """
    if name == REVIEWED:
        raise WrongUseError(
            f"the data set {REVIEWED!r} is made of labels: name the one that the tweets were ingested into"
        )
    if name is not None:
        with catalog.session() as session:
            dataset = get_dataset(session, name)
            known = ", ".join(sorted(session.scalars(select(Dataset.name)))) or "none yet"
        if dataset is None:
            raise NotFoundError(f"no data set is called {name!r}: there are {known}")
        return dataset
    ids = {row.tweet_id for row in islice((row for row in rows if isinstance(row, HumanLabel)), LOOKED_AT)}
    held = _count_held(catalog, ids)
    if not held:
        raise NotFoundError(_explain_unknown(ids))
    with catalog.session() as session:
        datasets = {dataset.id: dataset for dataset in session.scalars(select(Dataset).where(Dataset.id.in_([*held])))}
    return min(datasets.values(), key=lambda each: (-held[each.id], each.name != LANDING, each.id))


def find_similar(catalog: Catalog, dataset_id: int, unknown: Iterable[str]) -> str:
    """How unknown ids were rounded, with stored ids that they may be; empty where nothing shows it."""
    ids = [*unknown]
    rounding = find_rounding(ids)
    if rounding is None:
        return ""
    hints: list[str] = []
    with catalog.session() as session:
        for tweet_id in [each for each in ids if is_long(each)][:TRIED]:
            start = tweet_id[:SPREADSHEET_DIGITS]
            query = select(StoredTweet.tweet_id).where(
                StoredTweet.dataset_id == dataset_id, StoredTweet.tweet_id.between(start, start + ":")
            )
            found = [*session.scalars(query.limit(HINTS))]
            hints += [f"{tweet_id} may be {' or '.join(found)}"] if found and len(hints) < HINTS else []
    return str(rounding) + (f". {'; '.join(hints)}" if hints else "")


def _count_held(catalog: Catalog, ids: Iterable[str]) -> Counter[int]:
    """Data set -> how many of the ids it holds."""
    held: Counter[int] = Counter()
    with catalog.session() as session:
        for some in in_parts(sorted(ids)):
            query = select(StoredTweet.dataset_id).join(Dataset, Dataset.id == StoredTweet.dataset_id)
            held.update(session.scalars(query.where(StoredTweet.tweet_id.in_(some), Dataset.name != REVIEWED)))
    return held


def _explain_unknown(ids: set[str]) -> str:
    if not ids:
        return "expected answers in the file, found none: fill in text_is_represented or image_adds (1 or 0)"
    rounding = find_rounding(ids)
    told = str(rounding) if rounding else "ingest the tweets first, or correct the ids"
    return f"none of the file's {len(ids)} ids, such as {min(ids)}, is in any data set: {told}"
