"""The data set `reviewed`: the tweets that people have labelled, with what they are taken to be. No Prefect in here.

It grows by shards of newly labelled tweets, copied from where they were ingested to; its labels are written anew at each
refresh, so that a corrected or withdrawn one is so here too.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flows.jobs.datasets import REVIEWED, find_labelled_name
from flows.jobs.ingestion.commit import ConcurrentIngestionError, Target
from flows.jobs.ingestion.pending import Pending
from flows.jobs.review_files.pictures import read_row
from flows.platform import Platform
from infra.catalog.annotations import EVERYTHING, newest_annotation
from infra.catalog.current_labels import SettledLabel, settled_labels
from infra.catalog.queries import get_dataset, in_parts
from infra.catalog.review_tables import REVIEWED_LAYOUT
from infra.catalog.tables import Dataset, LandingObject, Shard, StoredTweet
from itrp.data.annotations import Annotations
from itrp.data.pairs import Pair
from itrp.data.splits import assign_split
from itrp.labels import UNLABELLED, Task
from serving.errors import NotFoundError
from serving.files import local_file

logger = logging.getLogger(__name__)

TASKS = (Task.TEXT, Task.IMAGE)
FEWEST_TO_JUDGE = 30
"""Labels of the test split with which the gate decides by this data set without being told to."""
ATTEMPTS = 3
"""Of a refresh, when others refresh at the same time."""

Settled = Mapping[tuple[int, str], Mapping[Task, SettledLabel]]
"""(data set, tweet id) -> labels by task."""


@dataclass(frozen=True)
class ReviewedReport:
    """What the data set holds."""

    tweets: int
    added: int
    """By this refresh."""
    train: dict[str, int]
    """Labels by task."""
    test: dict[str, int]


@dataclass(frozen=True)
class _Known:
    """A tweet that the data set holds, in stored order, or is about to hold."""

    tweet_id: str
    dataset_id: int
    """Where it was copied from."""


@dataclass(frozen=True)
class _State:
    """The data set as it is, read in one transaction."""

    dataset: Dataset | None
    stored: list[_Known]
    settled: Settled
    names: dict[int, str]
    """Data set -> name."""
    shards: int


def refresh_if_reviewed(platform: Platform, name: str | None, flow_run_id: str | None = None) -> None:
    """Bring the data set up to date where it is the one named.

    Raises NotFoundError, saying what to do, while nobody has labelled anything.
    """
    if name == REVIEWED and _is_ours(platform) and refresh_reviewed(platform, flow_run_id).tweets == 0:
        raise NotFoundError(
            f"the data set {REVIEWED!r} is made of people's labels, and there is none yet: label some tweets (itrp review, or "
            "itrp sample), or read labels from a file (itrp import-labels)"
        )


def choose_judging_data(platform: Platform, task: Task) -> str | None:
    """The labelled data set that the gate decides a task by when it is told none; None where there is none.

    People's own labels where there are FEWEST_TO_JUDGE in the test split, else the newest ingested data set with labels.
    """
    with platform.catalog.session() as session:
        said = newest_annotation(session)
    if said and _is_ours(platform) and refresh_reviewed(platform).test[str(task)] >= FEWEST_TO_JUDGE:
        return REVIEWED
    return find_labelled_name(platform.catalog, without=REVIEWED_LAYOUT)


def refresh_reviewed(platform: Platform, flow_run_id: str | None = None) -> ReviewedReport:
    """Append tweets that were labelled since the last time, and write the labels anew. Nothing happens while nobody labels.

    Test split: tweets with a label of the random queue whose id's hash falls into one half, and of these only labels that
    measure (random ones); everything else is train. A tweet stays in the split it came into, whatever is labelled later:
    what has taught a model, or chosen a mapping or a threshold, never measures one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _refresh(platform, flow_run_id)
        except ConcurrentIngestionError:
            if attempt == ATTEMPTS:
                raise
            logger.info("somebody else refreshes the data set %s: once more", REVIEWED)
    raise AssertionError("the last attempt has returned or raised")


def find_origins(session: Session, tweet_ids: Iterable[str]) -> dict[str, Dataset]:
    """Tweet id -> the data set that the data set `reviewed` has it from, of those that it holds."""
    names: dict[str, str] = {}
    for some in in_parts(tweet_ids):
        query = (
            select(StoredTweet.tweet_id, LandingObject.key)
            .join(LandingObject, LandingObject.id == StoredTweet.landing_object_id)
            .join(Dataset, Dataset.id == StoredTweet.dataset_id)
            .where(Dataset.name == REVIEWED, StoredTweet.tweet_id.in_(some))
        )
        names.update(dict(session.execute(query).all()))
    known = {dataset.name: dataset for dataset in session.scalars(select(Dataset))}
    return {tweet_id: known[name] for tweet_id, name in names.items() if name in known}


def _is_ours(platform: Platform) -> bool:
    """Whether the name is free or this module's: an earlier version let people ingest under it."""
    with platform.catalog.session() as session:
        dataset = get_dataset(session, REVIEWED)
    return dataset is None or dataset.layout == REVIEWED_LAYOUT


def _refresh(platform: Platform, flow_run_id: str | None) -> ReviewedReport:
    with platform.catalog.session() as session:
        state = _read_state(session)
    new = _find_new(state)
    if not new and state.dataset is None:
        return ReviewedReport(0, 0, *({str(task): 0 for task in TASKS} for _ in range(2)))
    pending = Pending(platform.store, Target(platform.catalog, REVIEWED, REVIEWED_LAYOUT, flow_run_id))
    copied = _copy(platform, pending, new, state.names)
    annotations = annotate([*state.stored, *copied], state.settled, _read_splits(platform, state.dataset))
    key = _store(platform, annotations)
    if copied:
        pending.group.annotations_key = key
        pending.commit()
    else:
        _replace_labels(platform, state, key)
    return _report(annotations, len(copied))


def _read_state(session: Session) -> _State:
    dataset = get_dataset(session, REVIEWED)
    names: dict[int, str] = dict(session.execute(select(Dataset.id, Dataset.name)).all())
    ids = {name: id_ for id_, name in names.items()}
    stored: list[_Known] = []
    shards = 0
    if dataset is not None:
        query = (
            select(StoredTweet.tweet_id, LandingObject.key)
            .join(Shard, Shard.id == StoredTweet.shard_id)
            .join(LandingObject, LandingObject.id == StoredTweet.landing_object_id)
            .where(StoredTweet.dataset_id == dataset.id)
            .order_by(Shard.position, StoredTweet.row)
        )
        stored = [_Known(tweet_id, ids.get(key, dataset.id)) for tweet_id, key in session.execute(query)]
        shards = session.scalar(select(func.count(Shard.id)).where(Shard.dataset_id == dataset.id)) or 0
    settled: dict[tuple[int, str], dict[Task, SettledLabel]] = {}
    for label in settled_labels(session, EVERYTHING):
        settled.setdefault((label.dataset_id, label.tweet_id), {})[Task(label.task)] = label
    return _State(dataset, stored, settled, names, shards)


def _find_new(state: _State) -> list[_Known]:
    """Tweets with a settled label that the data set does not hold; of one in several data sets the first."""
    own = state.dataset.id if state.dataset else None
    known = {tweet.tweet_id for tweet in state.stored}
    new: dict[str, _Known] = {}
    for dataset_id, tweet_id in sorted(state.settled):
        if dataset_id != own and tweet_id not in known:
            new.setdefault(tweet_id, _Known(tweet_id, dataset_id))
    return [*new.values()]


def _copy(platform: Platform, pending: Pending, new: Sequence[_Known], names: Mapping[int, str]) -> list[_Known]:
    """Write the tweets into shards that wait for the commit, by data set, shard and row; in this order."""
    copied = []
    for dataset_id in sorted({tweet.dataset_id for tweet in new}):
        ids = [tweet.tweet_id for tweet in new if tweet.dataset_id == dataset_id]
        digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
        batch = pending.begin(names[dataset_id], digest)
        for line, (shard_key, row) in enumerate(_find_places(platform, dataset_id, ids), start=1):
            pair = _read_pair(platform, shard_key, row, line)
            pending.add(pair, batch, None)
            copied.append(_Known(pair.id, dataset_id))
    pending.flush()
    return copied


def _find_places(platform: Platform, dataset_id: int, ids: Iterable[str]) -> list[tuple[str, int]]:
    """(shard key, row) of stored tweets, in stored order."""
    found: list[tuple[int, int, str]] = []
    with platform.catalog.session() as session:
        for some in in_parts(ids):
            query = select(Shard.position, StoredTweet.row, Shard.key).join(Shard, Shard.id == StoredTweet.shard_id)
            query = query.where(StoredTweet.dataset_id == dataset_id, StoredTweet.tweet_id.in_(some))
            found += [(position, row, key) for position, row, key in session.execute(query)]
    return [(key, row) for _, row, key in sorted(found)]


def _read_pair(platform: Platform, shard_key: str, row: int, line: int) -> Pair:
    path = local_file(platform.store, shard_key, platform.settings.cache_dir / "objects")
    cells = read_row(path, row, pictures=True)
    return Pair(
        id=cells["id"],
        text=cells["text"],
        image=cells["image"]["bytes"],
        image_path=cells["image"]["path"] or "",
        created_at=cells["created_at"],
        lang=cells["lang"],
        line=line,
        image_sha256=cells["image_sha256"],
    )


def annotate(tweets: Sequence[_Known], settled: Settled, splits: Mapping[str, str]) -> Annotations:
    """The labels of tweets in their order. splits: id -> the split that a tweet is in already."""
    found = [settled.get((tweet.dataset_id, tweet.tweet_id), {}) for tweet in tweets]
    split = [
        splits.get(tweet.tweet_id) or choose_split(tweet.tweet_id, any(label.random for label in labels.values()))
        for tweet, labels in zip(tweets, found, strict=True)
    ]
    text, image = (
        np.array(
            [_read_label(labels.get(task), side) for labels, side in zip(found, split, strict=True)], dtype=np.int64
        )
        for task in TASKS
    )
    ids = np.array([tweet.tweet_id for tweet in tweets], dtype=np.str_)
    return Annotations(ids, np.array(split, dtype=np.str_), text, image, np.zeros(len(ids), dtype=bool), text, image)


def choose_split(tweet_id: str, random: bool) -> str:
    """ "test" for one half of the tweets that chance has brought before a person, by the hash of the id; else "train"."""
    return assign_split(tweet_id) if random else "train"


def _read_label(label: SettledLabel | None, split: str) -> int:
    """In the test split only what measures."""
    return UNLABELLED if label is None or (split == "test" and not label.random) else label.value


def _read_splits(platform: Platform, dataset: Dataset | None) -> dict[str, str]:
    if dataset is None or dataset.annotations_key is None:
        return {}
    before = Annotations.from_parquet(platform.store.get(dataset.annotations_key))
    return dict(zip(before.ids.tolist(), before.split.tolist(), strict=True))


def _store(platform: Platform, annotations: Annotations) -> str:
    data = annotations.to_parquet()
    key = f"shards/annotations/{hashlib.sha256(data).hexdigest()}.parquet"
    platform.store.put_if_absent(key, data)
    return key


def _replace_labels(platform: Platform, state: _State, key: str) -> None:
    """Point the data set to other labels, unless somebody has appended tweets meanwhile."""
    assert state.dataset is not None
    if key == state.dataset.annotations_key:
        return
    with platform.catalog.session() as session:
        dataset = session.scalars(select(Dataset).where(Dataset.id == state.dataset.id).with_for_update()).one()
        shards = session.scalar(select(func.count(Shard.id)).where(Shard.dataset_id == dataset.id))
        if shards != state.shards:
            raise ConcurrentIngestionError(f"the data set {REVIEWED} was refreshed at the same time: do it again")
        dataset.annotations_key = key


def _report(annotations: Annotations, added: int) -> ReviewedReport:
    def count(split: str) -> dict[str, int]:
        chosen = annotations.split == split
        return {str(task): int((chosen & (annotations.labels(task) != UNLABELLED)).sum()) for task in TASKS}

    return ReviewedReport(len(annotations), added, count("train"), count("test"))
