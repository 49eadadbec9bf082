"""Tweets, shards and outages that labels cannot be made of: each keeps no other from its labels."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from flows.jobs.scoring import find_archive
from infra.catalog.queries import set_aside_by
from infra.catalog.tables import LabelFile, SetAsideTweet, Shard
from infra.errors import StoreUnavailableError
from itrp.data.pairs import Pair
from itrp.data.rejections import REASONS
from itrp.datasets.synthetic import generate_tweets
from itrp.errors import DataError
from serving.labels import decode_labels, encode_labels, read_set_aside_rows
from serving.scorer import BatchScorer, ShardsFailedError, summarise
from tests.poison import palette_without_colours, store_shard
from tests.serving.scorers import landed, make_scorer

if TYPE_CHECKING:
    from flows.platform import Platform

PICTURE = next(iter(generate_tweets(1, seed=5))).image


def poisoned(platform: "Platform") -> tuple[Shard, list[Pair]]:
    """A shard of the landing data set with a picture in its second row that no decoder reads, and its pairs."""
    pairs = [Pair(f"p{row}", "words", palette_without_colours() if row == 1 else PICTURE, "a.png") for row in range(3)]
    return store_shard(platform, pairs), pairs


def test_a_tweet_that_cannot_be_labelled_is_set_aside_and_all_others_are_labelled(
    scorer: BatchScorer, platform: "Platform", caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = landed(scorer)
    bad, pairs = poisoned(platform)
    rows = list(scorer.score_all([first, bad, second, third], "run-1"))
    assert [(row.shard_id, row.pairs, row.set_aside) for row in rows] == [
        (first.id, 10, 0), (bad.id, 2, 1), (second.id, 10, 0), (third.id, 10, 0),
    ]  # fmt: skip
    table = decode_labels(scorer.store.get(rows[1].key))
    assert table.column("id").to_pylist() == ["p0", "p2"]
    assert sum(rows[1].counts.values()) == 2
    (aside,) = read_set_aside_rows(table)
    assert (aside.row, aside.tweet_id) == (1, "p1")
    assert aside.code in REASONS
    with scorer.catalog.session() as session:
        ((tweet, shard),) = set_aside_by(session, [row.id for row in rows])
    assert (tweet.row, tweet.tweet_id, tweet.code, tweet.reason) == (1, "p1", aside.code, aside.reason)
    assert shard.hash == bad.hash
    report = summarise(rows, scorer.pair)
    assert (report.pairs, report.set_aside, report.shards) == (32, 1, 4)
    assert f"tweet p1 (row 1 of shard {bad.hash[:12]}) gets no labels: expected " in caplog.text
    assert pairs[0].id == "p0"


def test_who_is_set_aside_stays_so_from_every_cache_and_in_the_same_bytes(
    platform: "Platform", trained: "Platform", tmp_path: Path
) -> None:
    bad, _ = poisoned(platform)
    sums = set()
    for cache in ("one", "one", "other"):  # computed, read from the cache, computed by another machine
        scorer = make_scorer(platform, trained, tmp_path / cache, "fp32")
        row = scorer.score(bad)
        sums.add(row.sha256)
        assert (row.pairs, row.set_aside) == (2, 1)
        scorer.store.delete([row.key])
        with scorer.catalog.session() as session:
            session.execute(delete(SetAsideTweet))
            session.execute(delete(LabelFile))
    assert len(sums) == 1


def test_the_others_have_the_labels_they_have_without_it(
    platform: "Platform", trained: "Platform", tmp_path: Path
) -> None:
    scorer = make_scorer(platform, trained, tmp_path, "fp32")
    bad, pairs = poisoned(platform)
    clean = store_shard(platform, [Pair(f"q{pair.id[1]}", pair.text, PICTURE, pair.image_path) for pair in pairs])
    tables = [decode_labels(scorer.store.get(scorer.score(shard).key)) for shard in (bad, clean)]
    left, whole = (table.drop_columns(["id", "shard"]).to_pylist() for table in tables)
    assert left == [whole[0], whole[2]]


def test_the_ledger_is_made_from_the_file_of_a_killed_run(scorer: BatchScorer, platform: "Platform") -> None:
    """The file alone, written by a run that died before its ledger row, tells who was set aside."""
    bad, _ = poisoned(platform)
    expected = scorer.score(bad)
    with scorer.catalog.session() as session:
        session.execute(delete(SetAsideTweet))
        session.execute(delete(LabelFile))
    again = scorer.score(bad, "run-2")
    assert (again.sha256, again.pairs, again.set_aside) == (expected.sha256, 2, 1)
    with scorer.catalog.session() as session:
        ((tweet, _),) = set_aside_by(session, [again.id])
    assert tweet.tweet_id == "p1"
    table = decode_labels(scorer.store.get(again.key))
    scorer.store.put(again.key, encode_labels(table.slice(0, 1)))
    with scorer.catalog.session() as session:
        session.execute(delete(SetAsideTweet))
        session.execute(delete(LabelFile))
    with pytest.raises(DataError, match="holds 1 labels and lists 1 tweets without one, but its shard holds 3 pairs"):
        scorer.score(bad)


def test_a_shard_of_which_no_picture_decodes_is_done_all_the_same(scorer: BatchScorer, platform: "Platform") -> None:
    bad = store_shard(platform, [Pair("p0", "words", b"\xff\xd8\xff no picture", "a.jpg")])
    row = scorer.score(bad)
    assert (row.pairs, row.set_aside, set(row.counts.values())) == (0, 1, {0})
    assert bad.id not in {shard.id for shard in find_archive(platform.catalog, scorer.pair)}


def test_a_shard_that_fails_leaves_the_others_labelled(scorer: BatchScorer) -> None:
    """A shard whose object is gone, and one with somebody's wrong label file."""
    first, second, third = landed(scorer)
    gone = Shard(id=99, hash="f" * 64, key="shards/gone.parquet", pairs=3, position=9, size=9)
    scorer.store.put(
        scorer._key(second), encode_labels(decode_labels(scorer.store.get(scorer.score(third).key)).slice(0, 4))
    )
    threads = set(threading.enumerate())
    faults: dict[str, str] = {}
    rows = list(scorer.score_all([first, gone, second, third], None, faults))
    assert [row.shard_id for row in rows] == [first.id, third.id]
    assert list(faults) == [gone.hash, second.hash]
    assert "holds 4 labels, but its shard holds 10 pairs" in faults[second.hash]
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ShardsFailedError) as caught:
        list(scorer.score_all([gone, first]))
    assert str(caught.value).startswith(
        "1 of 2 shards could not be labelled; the others have labels. First: shard ffffffffffff: "
    )


def test_where_every_shard_fails_the_run_ends_early(scorer: BatchScorer) -> None:
    gone = [
        Shard(id=99 + row, hash=f"{row:064}", key=f"shards/{row}.parquet", pairs=3, position=9, size=9)
        for row in range(30)
    ]
    with pytest.raises(ShardsFailedError, match="10 of 10 shards could not be labelled; the run ended early"):
        list(scorer.score_all(gone, None, {}))


def test_an_outage_says_nothing_about_a_shard(scorer: BatchScorer) -> None:
    """It is raised as it is, so that the task is tried again."""

    class AwayStore(type(scorer.store)):  # type: ignore[misc]
        def stat(self, key: str) -> None:
            raise StoreUnavailableError("away")

    scorer.store.__class__ = AwayStore
    faults: dict[str, str] = {}
    with pytest.raises(StoreUnavailableError, match="away"):
        list(scorer.score_all(landed(scorer), None, faults))
    assert faults == {}
