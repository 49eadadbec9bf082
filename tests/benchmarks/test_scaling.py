"""The arithmetic of docs/scaling.md on round numbers, and the counting of requests."""

from collections import Counter
from pathlib import Path

import pytest
from urllib3 import PoolManager

from infra.object_store import open_store
from tests.benchmarks.scaling_demand import ASSUMED, Assumptions, compute_demand
from tests.benchmarks.scaling_rates import Rates, count_requests, land


@pytest.fixture
def rates() -> Rates:
    return Rates(
        pairs=1000,
        batch=100,
        shard=50,
        landing_bytes=10_000,
        shard_bytes=9_000,
        label_bytes=20,
        ingest_seconds=0.001,
        decode_seconds=0.0005,
        score_seconds=0.1,
        list_seconds=0.036,
        ingest_requests=Counter(GET=1010, PUT=20, LIST=2),
        score_requests=Counter(GET=40),
        row_bytes={"stored_tweet": 200, "landing_object": 300, "shard": 500, "label_file": 400},
        insert_seconds=0.000036,
        database="postgresql",
    )


def table(rates: Rates, picture_bytes: float | None = None) -> dict[str, tuple[str, str]]:
    """A day of 86.4 million tweets: a thousand a second."""
    assumed = Assumptions(86_400_000, 4000, 0.5, 96, 2, picture_bytes)
    return {row.what: (row.value, row.source) for row in compute_demand(rates, assumed)}


def test_a_thousand_tweets_a_second(rates: Rates) -> None:
    found = table(rates)
    assert {what: value for what, (value, _) in found.items()} == {
        "landing objects": "87.3 million",  # 86.4 million pictures and 864,000 batch files
        "shards": "1.7 million",
        "label files, a pair of versions": "1.7 million",
        "landing bytes": "864.00 GB",
        "shard bytes": "777.60 GB",
        "label file bytes": "1.73 GB",
        "network at the object store": "0.30 Gbit/s on average",  # 1,000/s x 2 x 19,020 bytes x 8
        "requests of the collectors": "87.3 million PUT",
        "ingest: GET": "87.3 million",
        "ingest: PUT": "1.7 million",
        "score: GET": "3.5 million",
        "ingest: LIST, whole prefix": "16.8 million",  # 87,264,000 x 2 days / 1,000 x 96
        "one listing of a full landing zone": "1.7 h",  # 174,528 pages of 36 ms
        "pairs a second, on average": "1,000",
        "CPU cores, ingest": "2.0",
        "CPU cores, decode for scoring": "1.0",
        "CPU cores, scoring with the small models and no GPU": "200",
        "GPU hours, both tasks": "6.0",
        "GPUs": "0.50",
        "postgresql: stored_tweet": "86.4 million rows, 17.28 GB",
        "postgresql: landing_object": "864,000 rows, 259.20 MB",
        "postgresql: shard": "1.7 million rows, 864.00 MB",
        "postgresql: label_file": "1.7 million rows, 691.20 MB",
        "time to insert stored_tweet, one writer": "0.9 h",
        "stored_tweet after a year": "6.31 TB",
        "Prefect task runs, engine local": "69,120",
    }
    assert {what for what, (_, source) in found.items() if source == ASSUMED} == {"GPU hours, both tasks", "GPUs"}


def test_assumed_pictures_are_marked(rates: Rates) -> None:
    found = table(rates, picture_bytes=99_800)
    assert found["landing bytes"] == ("8.64 TB", ASSUMED)
    assert found["network at the object store"] == ("3.20 Gbit/s on average", ASSUMED)
    assert found["label file bytes"][1] != ASSUMED


def test_requests_are_counted_where_they_are_sent() -> None:
    """Nobody listens there: that a request is made is what counts."""
    counts: Counter[str] = Counter()
    pool, address = PoolManager(retries=False, timeout=1), "http://127.0.0.1:9/tweets"
    with count_requests(counts):
        for method, query in (("GET", "/key"), ("GET", "?list-type=2&prefix=landing"), ("PUT", "/key")):
            with pytest.raises(Exception, match="refused"):
                pool.urlopen(method, address + query)
    with pytest.raises(Exception, match="refused"):
        pool.urlopen("GET", address)
    assert counts == {"GET": 1, "LIST": 1, "PUT": 1}


def test_what_lands_is_what_ingestion_expects(tmp_path: Path) -> None:
    store = open_store((tmp_path / "objects").as_uri())
    size = land(store, [("a", b"12345"), ("b", b"123")], pairs=5, batch=2)
    assert [info.key.split("/")[-1] for info in store.list("landing/")] == [
        "0.jpg", "1.jpg", "tweets.jsonl", "2.jpg", "3.jpg", "tweets.jsonl", "4.jpg", "tweets.jsonl"
    ]  # fmt: skip
    assert size == pytest.approx(sum(info.size for info in store.list("landing/")) / 5)
