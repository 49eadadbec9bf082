"""Made-up tweets in a catalog, stored and indexed as ingestion and `update_index` leave them, for tests of the review."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from infra.catalog.annotations import NewAnnotation
from infra.catalog.queries import get_or_create_dataset, record_label_file
from infra.catalog.tables import LandingObject, Shard, StoredTweet
from infra.catalog.tweet_entries import LabelEntry, TweetEntry, enter_labels, enter_tweets, find_or_add_pair

GUIDELINE = "2026-11"
LANGUAGES = ("en", "en", "en", "de", "ja", None)
NOUNS = ("cat", "dog", "tree", "river", "Café", "straße", "犬", "COVID-19", "#sunset")
_TOKENS = count()


@dataclass(frozen=True)
class Tweet:
    """A made-up tweet and what a pair of models says of it."""

    entry: TweetEntry
    label: LabelEntry


def make_tweets(number: int, seed: int = 0, prefix: str = "t") -> list[Tweet]:
    """Tweets with every language, some without a time, some at one time, some with one probability."""
    draw = random.Random(seed)
    tweets = []
    for row in range(number):
        tweet_id = f"{prefix}{row}"
        day = None if draw.random() < 0.1 else datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=draw.randrange(20))
        text = " ".join(draw.choices(NOUNS, k=3))
        entry = TweetEntry(row, tweet_id, text, day, draw.choice(LANGUAGES))
        tweets.append(Tweet(entry, make_label(tweet_id, round(draw.random(), 2), round(draw.random(), 2))))
    return tweets


def make_label(tweet_id: str, text: float, image: float) -> LabelEntry:
    """What a pair says of a tweet with these probabilities of class 1."""
    return LabelEntry(tweet_id, 2 * (text > 0.5) + (image > 0.5), text, image)


def store_tweets(session: Session, entries: Sequence[TweetEntry], dataset: str = "landing") -> Shard:
    """One more shard of the data set with these tweets, as ingestion leaves it; not in the index yet."""
    owner = get_or_create_dataset(session, dataset, "landing")
    position = next(_TOKENS)
    digest = hashlib.sha256(f"{dataset} {position}".encode()).hexdigest()
    shard = Shard(
        dataset_id=owner.id,
        position=position,
        hash=digest,
        key=f"shards/{digest}.parquet",
        pairs=len(entries),
        size=1,
    )
    batch = LandingObject(
        dataset_id=owner.id, key=f"landing/{digest}", etag="e", lines=len(entries), pairs=len(entries), duplicates=0,
        quarantined=0,
    )  # fmt: skip
    session.add_all([shard, batch])
    session.flush()
    session.add_all(
        StoredTweet(
            dataset_id=owner.id, tweet_id=each.tweet_id, content_sha256="c", shard_id=shard.id, row=each.row,
            landing_object_id=batch.id, line=each.row + 1,
        )
        for each in entries
    )  # fmt: skip
    session.flush()
    return shard


def index_tweets(session: Session, entries: Sequence[TweetEntry], dataset: str = "landing") -> Shard:
    """One more shard with these tweets, in the index."""
    shard = store_tweets(session, entries, dataset)
    assert enter_tweets(session, shard, entries) == len(entries)
    return shard


def index_labels(session: Session, shard: Shard, labels: Sequence[LabelEntry], version: str = "1") -> int:
    """Labels of a shard in the index, by one version of both models; the pair's id."""
    file = record_label_file(
        session, shard_id=shard.id, text_version=version, image_version=version, key=f"labels/{version}/{shard.hash}",
        sha256="0" * 64, pairs=len(labels), counts={},
    )  # fmt: skip
    assert enter_labels(session, file, labels) == len(labels)
    return find_or_add_pair(session, version, version).id


def say(dataset_id: int, tweet_id: str, person: str, value: int | None, **changes: Any) -> NewAnnotation:
    """A label of the text task from the random queue of the page; without a value a skip."""
    told: Mapping[str, Any] = {
        "dataset_id": dataset_id,
        "tweet_id": tweet_id,
        "task": "text",
        "kind": "skip" if value is None else "label",
        "value": value,
        "person": person,
        "queue": "random",
        "guideline": GUIDELINE,
        "token": f"token {next(_TOKENS)}",
    }
    return NewAnnotation(**{**told, **changes})
