"""The index of tweets, made from real shards and label files: whole, once, whatever else is damaged; on both databases."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text

from infra.catalog.browse import TweetFilter, browse, get_tweet, list_pairs
from infra.catalog.database import Catalog
from infra.catalog.queries import get_or_create_dataset, record_label_file
from infra.catalog.review_tables import IndexedLabelFile, IndexedShard, IndexedTweet, TweetLabel
from infra.catalog.tables import LabelFile, LandingObject, Shard, StoredTweet
from infra.catalog.words import WORDS, matching_tweets
from infra.errors import CatalogError
from infra.object_store import ObjectStore, open_store
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash, shard_key
from serving.labels import SetAsideRow, build_labels, encode_labels, label_key
from serving.review.tweet_index import IndexReport, update_index

SHARDS, PAIRS = 3, 300
"""More pairs a shard than one row group holds."""


@dataclass(frozen=True)
class World:
    """A catalog and the object store whose three shards it knows; each is labelled by versions 1 and 1."""

    catalog: Catalog
    store: ObjectStore
    objects: Path

    def update(self, dataset: str | None = None) -> IndexReport:
        return update_index(self.catalog, self.store, dataset=dataset)

    def count(self) -> tuple[int, int, int]:
        """Tweets in the index, labels, and tweets whose words are."""
        with self.catalog.session() as session:
            tables = (IndexedTweet, TweetLabel)
            tweets, labels = (session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
            found = session.scalar(select(func.count()).select_from(matching_tweets(session, "tweet").subquery()))
            return tweets, labels, found or 0

    def damage(self, key: str, data: bytes | None) -> bytes:
        """Put other bytes at a key, or none; what lay there."""
        before = (self.objects / key).read_bytes()
        (self.objects / key).unlink()
        if data is not None:
            (self.objects / key).write_bytes(data)
        return before


def make_pairs(number: int) -> list[Pair]:
    """Pairs whose images are 3,000 arbitrary bytes each: nobody may want to decode them."""
    return [
        Pair(
            id=f"{number}-{row}",
            text=f"tweet {row} of shard {number}",
            image=bytes([number, row % 256]) * 1500,
            image_path="a.jpg",
            created_at=None if row % 7 == 0 else datetime(2026, 11, 1 + row % 28, tzinfo=UTC),
            lang=None if row % 5 == 0 else "en",
        )
        for row in range(PAIRS)
    ]


def store_shard(catalog: Catalog, store: ObjectStore, number: int, dataset: str = "landing") -> Shard:
    """A shard in the store and the catalog, as ingestion leaves it."""
    pairs = make_pairs(number)
    data = encode_shard(pairs)
    key = shard_key(shard_hash(data))
    store.put(key, data)
    with catalog.session() as session:
        owner = get_or_create_dataset(session, dataset, "landing")
        batch = LandingObject(
            dataset_id=owner.id,
            key=f"landing/{number}",
            etag="e",
            lines=PAIRS,
            pairs=PAIRS,
            duplicates=0,
            quarantined=0,
        )
        shard = Shard(
            dataset_id=owner.id, position=number, hash=shard_hash(data), key=key, pairs=PAIRS, size=len(data)
        )  # fmt: skip
        session.add_all([batch, shard])
        session.flush()
        session.add_all(
            StoredTweet(
                dataset_id=owner.id, tweet_id=pair.id, content_sha256=pair.content_sha256, shard_id=shard.id, row=row,
                landing_object_id=batch.id, line=row + 1,
            )
            for row, pair in enumerate(pairs)
        )  # fmt: skip
    return shard


def store_labels(catalog: Catalog, store: ObjectStore, shard: Shard, number: int, version: str) -> LabelFile:
    """A label file in the store and the ledger, as scoring leaves it; rows 5 and 6 are set aside."""
    draw = np.random.default_rng(number)
    kept = [row for row in range(PAIRS) if row not in (5, 6)]
    ones = draw.random((2, len(kept)))
    aside = [SetAsideRow(row, f"{number}-{row}", "image_not_a_picture", "why") for row in (5, 6)]
    table = build_labels(
        [f"{number}-{row}" for row in kept], *(np.stack([1 - each, each], axis=1) for each in ones), shard=shard.hash,
        text_version=version, image_version=version, set_aside=aside,
    )  # fmt: skip
    key = label_key(shard.hash, version, version)
    store.put(key, encode_labels(table))
    with catalog.session() as session:
        return record_label_file(
            session, shard_id=shard.id, text_version=version, image_version=version, key=key, sha256="0" * 64,
            pairs=len(kept), counts={},
        )  # fmt: skip


@pytest.fixture
def world(catalog: Catalog, tmp_path: Path) -> World:
    store = open_store(f"file://{tmp_path}/objects")
    for number in range(SHARDS):
        store_labels(catalog, store, store_shard(catalog, store, number), number, "1")
    return World(catalog, store, tmp_path / "objects")


def test_everything_enters_once(world: World) -> None:
    told: list[tuple[str, int, int | None]] = []
    report = update_index(world.catalog, world.store, lambda *step: told.append(step))
    assert report == IndexReport(SHARDS, SHARDS * PAIRS, SHARDS, SHARDS * (PAIRS - 2), SHARDS * 2, ())
    assert {step for step in told if step[1] == step[2]} == {("index tweets", 3, 3), ("index labels", 3, 3)}
    assert world.count() == (SHARDS * PAIRS, SHARDS * (PAIRS - 2), SHARDS * PAIRS)
    assert world.update() == IndexReport(0, 0, 0, 0, 0, ())
    assert world.count() == (SHARDS * PAIRS, SHARDS * (PAIRS - 2), SHARDS * PAIRS)


def test_what_the_index_says_is_what_the_files_say(world: World) -> None:
    world.update()
    with world.catalog.session() as session:
        (pair,) = list_pairs(session, 1)
        assert (pair.text_version, pair.image_version) == ("1", "1")
        ones = np.random.default_rng(2).random((2, PAIRS - 2)).round(6)
        written = make_pairs(2)
        for row, place in ((0, 0), (4, 4), (7, 5), (299, 297)):
            tweet = get_tweet(session, 1, f"2-{row}", pair.id)
            assert tweet is not None
            assert (tweet.text, tweet.lang, tweet.row) == (written[row].text, written[row].lang, row)
            assert tweet.created_at == written[row].created_at
            assert tweet.label is not None
            probabilities = tuple(ones[:, place])
            assert tweet.label[1:] == pytest.approx(probabilities, abs=1e-9)
            assert tweet.label.relation == 2 * (probabilities[0] > 0.5) + (probabilities[1] > 0.5)
        aside = get_tweet(session, 1, "2-5", pair.id)
        assert aside is not None
        assert aside.label is None


def test_later_shards_and_labels_are_added(world: World) -> None:
    world.update()
    shard = store_shard(world.catalog, world.store, 8)
    store_labels(world.catalog, world.store, shard, 8, "1")
    store_labels(world.catalog, world.store, shard, 8, "2")
    report = world.update()
    assert (report.shards, report.tweets, report.label_files, report.labels) == (1, PAIRS, 2, 2 * (PAIRS - 2))
    with world.catalog.session() as session:
        assert [pair.text_version for pair in list_pairs(session, 1)] == ["2", "1"]


def test_one_data_set(world: World) -> None:
    store_shard(world.catalog, world.store, 8, "other")
    assert world.update("other") == IndexReport(1, PAIRS, 0, 0, 0, ())
    report = world.update("landing")
    assert (report.shards, report.label_files) == (SHARDS, SHARDS)


def test_damaged_and_missing_objects_keep_nothing_else_out(world: World) -> None:
    with world.catalog.session() as session:
        shards = [*session.scalars(select(Shard.key).order_by(Shard.id))]
        files = [*session.scalars(select(LabelFile.key).order_by(LabelFile.id))]
    whole = {shards[0]: world.damage(shards[0], None), files[1]: world.damage(files[1], b"PAR1 no more PAR1")}
    report = world.update()
    assert (report.shards, report.label_files) == (2, 1)
    assert {failure.key for failure in report.failures} == {*whole}
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failures)
    data = whole[shards[0]]
    world.damage(files[2], None)  # it has entered: nobody looks at it again
    (world.objects / shards[0]).write_bytes(data[:4] + bytes(len(data) - 2000) + data[-1996:])
    assert world.update().failures[0].key == shards[0]
    for key, data in whole.items():
        (world.objects / key).write_bytes(data)
    report = world.update()
    assert (report.shards, report.label_files, report.failures) == (1, 2, ())
    assert world.count() == (SHARDS * PAIRS, SHARDS * (PAIRS - 2), SHARDS * PAIRS)


def test_labels_of_another_shard_s_tweets_are_rejected_whole(world: World) -> None:
    with world.catalog.session() as session:
        files = [*session.scalars(select(LabelFile.key).order_by(LabelFile.id))]
    shutil.copyfile(world.objects / files[0], world.objects / "swapped")
    world.damage(files[1], (world.objects / "swapped").read_bytes())
    report = world.update()
    assert [failure.key for failure in report.failures] == [files[1]]
    assert "found 298 of others, such as '0-0': remove the file and its row" in report.failures[0].reason
    with world.catalog.session() as session:
        assert session.scalar(select(func.count()).select_from(IndexedLabelFile)) == 2
    assert world.count()[1] == 2 * (PAIRS - 2)


def test_a_text_that_databases_do_not_take(world: World) -> None:
    """NUL is text in Parquet, and none in PostgreSQL."""
    data = encode_shard([Pair(id="nul", text="tweet\0with nul", image=b"x", image_path="a.jpg")])
    key = shard_key(shard_hash(data))
    world.store.put(key, data)
    with world.catalog.session() as session:
        session.add(Shard(dataset_id=1, position=9, hash=shard_hash(data), key=key, pairs=1, size=len(data)))
    assert world.update().failures == ()
    with world.catalog.session() as session:
        (tweet,) = browse(session, TweetFilter(dataset_id=1, words="nul")).tweets
        assert tweet.text == "tweet\N{REPLACEMENT CHARACTER}with nul"


def test_threads_at_once_enter_everything_once(world: World) -> None:
    barrier = threading.Barrier(4)

    def update(_number: int) -> IndexReport:
        barrier.wait()
        return world.update()

    with ThreadPoolExecutor(4) as pool:
        reports = [*pool.map(update, range(4))]
    assert [report.failures for report in reports] == [()] * 4
    assert sum(report.tweets for report in reports) == SHARDS * PAIRS
    assert sum(report.labels for report in reports) == SHARDS * (PAIRS - 2)
    assert world.count() == (SHARDS * PAIRS, SHARDS * (PAIRS - 2), SHARDS * PAIRS)


UPDATER = """
import sys
from infra.catalog.database import Catalog
from infra.errors import CatalogError
from infra.object_store import open_store
from serving.review.tweet_index import update_index
sys.stdin.read(1)
report = update_index(Catalog(sys.argv[1]), open_store(sys.argv[2]))
print(report.tweets, report.labels, len(report.failures))
"""


@pytest.mark.e2e
def test_processes_at_once_and_a_killed_one(world: World, fresh_url: str) -> None:
    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", UPDATER, fresh_url, f"file://{world.objects}"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    for number in range(10, 25):
        store_labels(world.catalog, world.store, store_shard(world.catalog, world.store, number), number, "1")
    killed, *others = (start() for _ in range(3))
    assert killed.stdin is not None
    killed.stdin.write("g")
    killed.stdin.flush()
    while not world.count()[0]:
        pass
    killed.kill()
    killed.communicate()
    entered = world.count()
    for each in others:
        assert each.stdin is not None
        each.stdin.write("g")
        each.stdin.close()
    told = [[int(number) for number in (each.stdout.read() if each.stdout else "").split()] for each in others]
    assert [each.wait() for each in others] == [0, 0]
    shards = SHARDS + 15
    assert entered[0] + sum(tweets for tweets, _, _ in told) == shards * PAIRS
    assert entered[1] + sum(labels for _, labels, _ in told) == shards * (PAIRS - 2)
    assert world.count() == (shards * PAIRS, shards * (PAIRS - 2), shards * PAIRS)


def test_a_transaction_that_ends_early_leaves_nothing(world: World) -> None:
    """Words, tweets and the note that the shard is in stand or fall together."""
    with world.catalog.connect() as connection:
        connection.execute(text(f"ALTER TABLE {WORDS} RENAME TO elsewhere"))
    with pytest.raises(CatalogError, match=WORDS):
        world.update()
    with world.catalog.session() as session:
        for table in (IndexedTweet, IndexedShard):
            assert session.scalar(select(func.count()).select_from(table)) == 0
