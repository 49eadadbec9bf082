"""The catalog's queries and records, on SQLite and on a real PostgreSQL."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from infra.catalog.database import Catalog
from infra.catalog.queries import (
    champion_history,
    count_unlabelled,
    dataset_hash,
    find_tweet,
    get_dataset,
    get_or_create_dataset,
    labels_of_shard,
    list_shards,
    oldest_unlabelled,
    record_champion,
    record_label_file,
    record_notice,
    set_aside_by,
    unlabelled_shards,
)
from infra.catalog.tables import Dataset, LabelFile, LandingObject, ModelRun, Notice, Shard, StoredTweet, now
from infra.errors import CatalogError


def make_shard(dataset: Dataset, position: int, name: str = "") -> Shard:
    digest = hashlib.sha256(f"{name or dataset.name} {position}".encode()).hexdigest()
    return Shard(dataset=dataset, position=position, hash=digest, key=f"shards/{digest}", pairs=10, size=1000)


def make_label(shard_id: int, text_version: str = "1", image_version: str = "1", **changes: Any) -> dict[str, Any]:
    row = {"key": "labels/x", "sha256": "0" * 64, "pairs": 10, "counts": {"00": 4, "11": 6}}
    return {"shard_id": shard_id, "text_version": text_version, "image_version": image_version} | row | changes


def test_numbers_past_32_bits(catalog: Catalog) -> None:
    with catalog.session() as session:
        dataset = get_or_create_dataset(session, "x", "itr")
        session.add(Shard(dataset=dataset, position=0, hash="h", key="k", pairs=1, size=5_000_000_000))
        session.add(
            ModelRun(
                mlflow_run_id="r", experiment="e", task="text", seed=2**32 - 1, dataset_id=dataset.id,
                dataset_hash="h", config={"k": [1, {"a": None}]}, rounds=1,
            )
        )  # fmt: skip
    with catalog.session() as session:
        assert session.scalars(select(Shard.size)).one() == 5_000_000_000
        run = session.scalars(select(ModelRun)).one()
        assert (run.seed, run.config) == (4294967295, {"k": [1, {"a": None}]})


def test_a_dataset_is_made_once_and_keeps_its_layout(catalog: Catalog) -> None:
    with catalog.session() as session:
        assert get_dataset(session, "tweets") is None
        first = get_or_create_dataset(session, "tweets", "landing")
        assert get_or_create_dataset(session, "tweets", "landing").id == first.id
    with catalog.session() as session:
        found = get_dataset(session, "tweets")
        assert found is not None
        assert (found.id, found.layout) == (first.id, "landing")
    with (
        pytest.raises(CatalogError, match="the layout itr, found landing: choose another name"),
        catalog.session() as session,
    ):
        get_or_create_dataset(session, "tweets", "itr")


def test_many_make_one_dataset_at_once(catalog: Catalog) -> None:
    barrier = threading.Barrier(8)

    def make(_number: int) -> int:
        barrier.wait()
        with catalog.session() as session:
            return get_or_create_dataset(session, "tweets", "landing").id

    with ThreadPoolExecutor(8) as pool:
        assert len({*pool.map(make, range(8))}) == 1


def test_the_hash_of_a_dataset(catalog: Catalog) -> None:
    with catalog.session() as session:
        dataset = get_or_create_dataset(session, "tweets", "itr")
        assert dataset_hash(session, dataset) == hashlib.sha256(b"").hexdigest()
        session.add_all(
            Shard(dataset=dataset, position=position, hash=name, key=name, pairs=1, size=1)
            for position, name in ((1, "aaa"), (0, "bbb"))
        )
        assert dataset_hash(session, dataset) == hashlib.sha256(b"bbb\naaa\n").hexdigest()
        dataset.annotations_key = "annotations/x"
        assert dataset_hash(session, dataset) == hashlib.sha256(b"bbb\naaa\nannotations/x").hexdigest()


def test_shards_by_position_and_by_label(catalog: Catalog) -> None:
    with catalog.session() as session:
        tweets = get_or_create_dataset(session, "tweets", "landing")
        other = get_or_create_dataset(session, "other", "landing")
        session.add_all([make_shard(tweets, 2), make_shard(tweets, 0), make_shard(tweets, 1), make_shard(other, 0)])
        session.flush()
        zero, one, two = list_shards(session, "tweets")
        assert [shard.position for shard in (zero, one, two)] == [0, 1, 2]
        assert list_shards(session, "nothing") == []
        record_label_file(session, **make_label(zero.id, "1", "1"))
        record_label_file(session, **make_label(one.id, "1", "2"))
        record_label_file(session, **make_label(one.id, "1", "1"))
    with catalog.session() as session:

        def positions(*versions: str) -> list[int]:
            return [shard.position for shard in unlabelled_shards(session, "tweets", *versions)]

        assert positions() == [2]
        assert positions("1", "1") == [2]
        assert positions("1", "2") == [0, 2]
        assert positions("2", "1") == [0, 1, 2]
        assert len(unlabelled_shards(session, "other")) == 1
        assert unlabelled_shards(session, "nothing") == []
        with pytest.raises(ValueError, match="expected both versions or none"):
            positions("1")
        assert [label.image_version for label in labels_of_shard(session, one.id)] == ["2", "1"]
        assert labels_of_shard(session, two.id) == []


def test_a_label_file_is_entered_once(catalog: Catalog) -> None:
    with catalog.session() as session:
        session.add(make_shard(get_or_create_dataset(session, "tweets", "landing"), 0))
        session.flush()
        shard_id = list_shards(session, "tweets")[0].id
        first = record_label_file(session, **make_label(shard_id, flow_run_id="run 1"))
        again = record_label_file(session, **make_label(shard_id, flow_run_id="run 2", sha256="1" * 64))
        assert (again.id, again.flow_run_id, again.sha256) == (first.id, "run 1", "0" * 64)
    with catalog.session() as session:
        found = record_label_file(session, **make_label(shard_id, flow_run_id="run 3"))
        assert (found.id, found.counts, found.flow_run_id) == (first.id, {"00": 4, "11": 6}, "run 1")
        assert datetime.now(UTC) - found.scored_at < timedelta(minutes=5)
        assert session.scalar(select(func.count()).select_from(LabelFile)) == 1


def test_many_enter_one_label_file_at_once(catalog: Catalog) -> None:
    with catalog.session() as session:
        session.add(make_shard(get_or_create_dataset(session, "tweets", "landing"), 0))
        session.flush()
        shard_id = list_shards(session, "tweets")[0].id
    barrier = threading.Barrier(8)

    def record(number: int) -> str | None:
        barrier.wait()
        with catalog.session() as session:
            return record_label_file(session, **make_label(shard_id, flow_run_id=f"run {number}")).flow_run_id

    with ThreadPoolExecutor(8) as pool:
        assert len({*pool.map(record, range(8))}) == 1


def test_a_tweet_is_found_wherever_it_is(catalog: Catalog) -> None:
    with catalog.session() as session:
        for name in ("b", "a"):
            dataset = get_or_create_dataset(session, name, "landing")
            shard = make_shard(dataset, 0)
            landing = LandingObject(
                dataset_id=dataset.id, key=f"landing/{name}.jsonl", etag="e", lines=9, pairs=9,
                duplicates=0, quarantined=0,
            )  # fmt: skip
            session.add_all([shard, landing])
            session.flush()
            session.add(
                StoredTweet(
                    dataset_id=dataset.id, tweet_id="T1", content_sha256="c", shard_id=shard.id, row=3,
                    landing_object_id=landing.id, line=4,
                )
            )  # fmt: skip
    with catalog.session() as session:
        found = find_tweet(session, "T1")
        places = [(origin.dataset.name, origin.landing_object.key, origin.tweet.row) for origin in found]
        assert places == [("a", "landing/a.jsonl", 3), ("b", "landing/b.jsonl", 3)]
        assert all(origin.shard.dataset_id == origin.dataset.id for origin in found)
        assert find_tweet(session, "T2") == []


def test_foreign_keys_hold(catalog: Catalog) -> None:
    with pytest.raises(IntegrityError), catalog.session() as session:
        record_label_file(session, **make_label(shard_id=12345))


def test_people_are_told_again_after_a_day(catalog: Catalog) -> None:
    day = timedelta(days=1)
    with catalog.session() as session:
        assert record_notice(session, "labels-overdue", day)
        assert not record_notice(session, "labels-overdue", day)
        assert record_notice(session, "model-files", day)
    with catalog.session() as session:
        session.execute(update(Notice).where(Notice.kind == "labels-overdue").values(told_at=now() - day))
    with catalog.session() as session:
        assert [record_notice(session, kind, day) for kind in ("labels-overdue", "model-files")] == [True, False]


def test_set_aside_tweets_are_entered_once_with_their_label_file(catalog: Catalog) -> None:
    aside = [{"row": 3, "tweet_id": "T1", "code": "image_truncated", "reason": "expected a whole picture"}]
    with catalog.session() as session:
        shard = make_shard(get_or_create_dataset(session, "landing", "landing"), 0)
        session.add(shard)
    for _ in range(2):
        with catalog.session() as session:
            row = record_label_file(session, **make_label(shard_id=shard.id), set_aside=aside)
    with catalog.session() as session:
        assert row.set_aside == 1
        ((tweet, found),) = set_aside_by(session, [row.id])
    assert (tweet.tweet_id, tweet.row, found.id) == ("T1", 3, shard.id)


def test_what_a_pair_has_yet_to_label_is_counted_and_the_oldest_named(catalog: Catalog) -> None:
    with catalog.session() as session:
        dataset = get_or_create_dataset(session, "landing", "landing")
        shards = [make_shard(dataset, position) for position in range(3)]
        session.add_all(shards)
    with catalog.session() as session:
        for shard, pair in ((shards[0], ("1", "1")), (shards[0], ("1", "2")), (shards[2], ("1", "1"))):
            label = make_label(shard_id=shard.id) | dict(zip(("text_version", "image_version"), pair, strict=True))
            record_label_file(session, **label)
        assert count_unlabelled(session, "landing", "1", "1") == 1
        assert count_unlabelled(session, "landing", "1", "2") == 2
        oldest = oldest_unlabelled(session, "landing")
        assert oldest is not None
        assert oldest.id == shards[1].id
        assert oldest_unlabelled(session, "elsewhere") is None
        assert champion_history(session, "image") == ["1", "2"]
        record_champion(session, "image", "5")
        assert champion_history(session, "image") == ["5", "1", "2"]
        assert champion_history(session, "text") == ["1"]


def test_who_enters_a_champion_is_told_so(catalog: Catalog) -> None:
    """On PostgreSQL too, whose driver does not count the rows of such a statement."""
    with catalog.session() as session:
        assert record_champion(session, "text", "2")
        assert not record_champion(session, "text", "2")
        assert record_champion(session, "text", "3")
