"""A catalog with so many made-up tweets, labels of two pairs of models and answers of people, entered in bulk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from infra.catalog.annotations import NewAnnotation, record_annotations
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset, get_or_create_dataset, record_label_file
from infra.catalog.queues import add_doubtful
from infra.catalog.statistics import refresh_statistics
from infra.catalog.tables import LandingObject, Shard, StoredTweet
from infra.catalog.tweet_entries import (
    LabelEntry,
    TweetEntry,
    enter_labels,
    enter_tweets,
    find_or_add_pair,
    random_key,
)

SHARD = 5_000
ANNOTATED = 10_000
WORDS = 20_000
"""Different words, w0 the most frequent."""
LANGUAGES = ("en", "es", "ja", "pt", *(f"l{number}" for number in range(30)), "rare")
SHARES = np.array([0.6, 0.1, 0.08, 0.06, *[0.0053] * 30, 0.0005])
UNDATED = 0.05
DISAGREEMENT, CONTRADICTION = 0.05, 0.08
"""Shares of the tweets that the pairs label otherwise, and of the tweets that people do."""


class Filled(NamedTuple):
    """What was entered."""

    dataset_id: int
    first: int
    """The pair (`ModelPair.id`) that labelled first."""
    second: int


def fill(catalog: Catalog, tweets: int) -> Filled:
    """Enter tweets and labels, unless that was done before."""
    with catalog.session() as session:
        known = get_dataset(session, "landing")
        pairs = [find_or_add_pair(session, version, version).id for version in ("1", "2")]
    if known is None:
        rng = np.random.default_rng(0)
        for start in range(0, tweets, SHARD):
            with catalog.session() as session:
                _fill_shard(session, rng, start, min(SHARD, tweets - start))
        with catalog.session() as session:
            _fill_annotations(session, rng, tweets)
        refresh_statistics(catalog)
    with catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        return Filled(dataset.id, *pairs)


def _fill_shard(session: Session, rng: np.random.Generator, start: int, number: int) -> None:
    dataset = get_or_create_dataset(session, "landing", "landing")
    shard = Shard(
        dataset_id=dataset.id, position=start // SHARD, hash=f"{start:064}", key=f"shards/{start}", pairs=number, size=1
    )
    session.add(shard)
    session.flush()
    enter_tweets(session, shard, [*make_entries(rng, start, number)])
    certain = rng.beta(0.5, 0.5, (number, 2)).round(6)
    other = np.where(rng.random((number, 2)) < DISAGREEMENT / 2, 1 - certain, certain)
    for version, probabilities in (("1", certain), ("2", other)):
        labels = [
            LabelEntry(str(start + row), 2 * (text > 0.5) + (image > 0.5), text, image)
            for row, (text, image) in enumerate(probabilities.tolist())
        ]
        file = record_label_file(
            session, shard_id=shard.id, text_version=version, image_version=version, key=f"labels/{version}/{start}",
            sha256="0" * 64, pairs=number, counts={},
        )  # fmt: skip
        enter_labels(session, file, labels)


def make_entries(rng: np.random.Generator, start: int, number: int) -> Iterator[TweetEntry]:
    """Tweets of 12 words by Zipf's law, over two years."""
    ranks = np.minimum((rng.random((number, 12)) ** -1.4).astype(np.int64) - 1, WORDS - 1)
    languages = rng.choice(LANGUAGES, number, p=SHARES / SHARES.sum())
    seconds = rng.integers(0, 2 * 365 * 86_400, number)
    undated = rng.random(number) < UNDATED
    for row in range(number):
        words = " ".join(f"w{rank}" for rank in ranks[row])
        moment = None if undated[row] else datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=int(seconds[row]))
        yield TweetEntry(row, str(start + row), words, moment, str(languages[row]))


def _fill_annotations(session: Session, rng: np.random.Generator, tweets: int) -> None:
    """Both people label the first tweets of the random order in both tasks; as many others are doubted."""
    dataset = get_or_create_dataset(session, "landing", "landing")
    order = sorted((str(number) for number in range(tweets)), key=random_key)
    chosen, doubted = order[:ANNOTATED], order[ANNOTATED : 2 * ANNOTATED]
    _store(session, dataset.id, [*chosen, *doubted])
    answers = rng.random((len(chosen), 2)) < 0.5
    contradicted = rng.random((len(chosen), 2)) < CONTRADICTION
    for person, values in (("anna", answers), ("bert", answers ^ contradicted)):
        record_annotations(
            session,
            [
                NewAnnotation(
                    dataset_id=dataset.id, tweet_id=tweet_id, task=task, kind="label", value=int(value), person=person,
                    queue="random", guideline="2026-11", token=f"{person} {tweet_id}", seconds=6.0,
                )
                for tweet_id, pair in zip(chosen, values, strict=True)
                for task, value in zip(("text", "image"), pair, strict=True)
            ],
        )  # fmt: skip
    add_doubtful(
        session, dataset.id, {tweet_id: rank / ANNOTATED for rank, tweet_id in enumerate(doubted)}, "benchmark"
    )


def _store(session: Session, dataset_id: int, tweet_ids: list[str]) -> None:
    """The ledger's rows of tweets that people speak of."""
    batch = LandingObject(
        dataset_id=dataset_id, key="landing/all", etag="e", lines=0, pairs=0, duplicates=0, quarantined=0
    )
    session.add(batch)
    session.flush()
    rows = [
        {
            "dataset_id": dataset_id,
            "tweet_id": tweet_id,
            "content_sha256": "c",
            "shard_id": 1 + int(tweet_id) // SHARD,
            "row": int(tweet_id) % SHARD,
            "landing_object_id": batch.id,
            "line": 1,
        }
        for tweet_id in tweet_ids
    ]
    session.execute(insert(StoredTweet), rows)
