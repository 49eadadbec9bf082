"""Landing -> shards, catalog, quarantine; real store, real catalog."""

import json
import struct
import zlib
from typing import Any

import pytest

from flows.jobs.ingestion import IngestReport
from flows.jobs.ingestion.report import MiscountError
from infra.catalog.queries import find_tweet, list_shards
from infra.catalog.tables import LandingObject, QuarantinedTweet, StoredTweet
from infra.errors import StoreError
from itrp.data.rejections import REASONS
from itrp.data.shards import read_shard
from tests.flows.failing_store import FailingStore
from tests.flows.landing_zone import FOLDER, GOOD, Zone, draw, encode, tweet


def test_a_batch_becomes_a_shard_with_its_origin(zone: Zone) -> None:
    key = zone.drop(
        "b.jsonl",
        tweet("1", lang="en", created_at="2020-05-01T10:00:00Z"),
        tweet(2),
        images={"good.jpg": GOOD},
    )
    assert zone.ingest(flow_run_id="run-1") == IngestReport(lines=2, pairs=2, shards=1)
    ((position, _, pairs),) = zone.shards()
    assert (position, pairs) == (0, 2)
    with zone.catalog.session() as session:
        (origin,) = find_tweet(session, "2")
        assert (origin.tweet.row, origin.tweet.line) == (1, 2)
        assert (origin.landing_object.key, origin.landing_object.lines) == (key, 2)
        assert origin.landing_object.etag == zone.store.identify(zone.store.stat(key))  # type: ignore[arg-type]
        assert origin.shard.flow_run_id == origin.landing_object.flow_run_id == "run-1"
        row = read_shard(zone.store.get(origin.shard.key)).to_pylist()[0]
    assert row["image"] == {"bytes": GOOD, "path": "good.jpg"}
    assert (row["id"], row["text"], row["lang"], row["created_at"].isoformat()) == (
        "1",
        "words",
        "en",
        "2020-05-01T10:00:00+00:00",
    )


def write_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


BOMB = (
    b"\x89PNG\r\n\x1a\n"
    + write_chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    + write_chunk(b"IDAT", zlib.compress(bytes(1000)))
)
"""A few bytes that say they are 100,000 x 100,000 pixels."""

REFUSED: list[tuple[str, dict[str, Any] | bytes]] = [
    ("image_missing", tweet("1", "absent.jpg")),
    ("image_empty", tweet("1", "empty.jpg")),
    ("image_truncated", tweet("1", "truncated.jpg")),
    ("image_not_a_picture", tweet("1", "page.jpg")),
    ("image_too_large", tweet("1", "bomb.png")),
    ("image_not_named", {"id": "1", "text": "words"}),
    ("image_key_invalid", tweet("1", "../../../etc/passwd")),
    ("image_key_invalid", tweet("1", "x" * 300 + ".jpg")),
    ("image_key_invalid", tweet("1", "/.tmp/x.jpg")),
    ("image_missing", tweet("1", "folder")),
    ("text_missing", {"id": "1", "image": "good.jpg"}),
    ("text_empty", tweet("1", text="  ")),
    ("text_not_utf8", b'{"id": "1", "text": "caf\xe9", "image": "good.jpg"}'),
    ("text_not_utf8", tweet("1", text="\ud800")),
    ("text_with_nul", tweet("1", text="a\0b")),
    ("text_too_long", tweet("1", text="x" * 100_000)),
    ("record_not_json", b'{"id": "1", "text'),
    ("record_too_long", b'{"id": "1", "text": "' + b"x" * 2_000_000 + b'"}'),
    ("id_missing", {"text": "words", "image": "good.jpg"}),
    ("id_invalid", tweet("no spaces please")),
    ("id_invalid", tweet("\ud800\0")),
]


@pytest.mark.parametrize(("code", "record"), REFUSED, ids=[f"{n}-{code}" for n, (code, _) in enumerate(REFUSED)])
def test_one_bad_tweet_is_quarantined_and_the_rest_goes_on(
    zone: Zone, code: str, record: dict[str, Any] | bytes
) -> None:
    images = {
        "good.jpg": GOOD,
        "empty.jpg": b"",
        "truncated.jpg": GOOD[: len(GOOD) // 2],
        "page.jpg": b"<html><body>404</body></html>",
        "bomb.png": BOMB,
        "folder/x.jpg": GOOD,
    }
    key = zone.drop("b.jsonl", tweet("before"), record, tweet("after"), images=images)
    assert zone.ingest() == IngestReport(lines=3, pairs=2, quarantined=1, shards=1, by_code={code: 1})
    assert zone.stored_ids() == ["before", "after"]
    (row,) = zone.rows(QuarantinedTweet)
    assert (row.code, row.object_key, row.line, row.resolved_at) == (code, key, 2, None)
    assert row.reason.startswith("expected ")
    assert len(row.reason) <= 1024


def test_every_reason_of_the_contract_is_tested() -> None:
    of_batches = {"id_conflict", "id_rounded", "batch_damaged"}
    of_folders = {"rating_invalid"}  # test_ingestion_captions
    assert {code for code, _ in REFUSED} | of_batches | of_folders == set(REASONS)


ACCEPTED: dict[str, bytes] = {
    "animated.gif": encode(draw(1), "GIF", save_all=True, append_images=[draw(2)]),
    "palette.png": encode(draw(3).convert("P"), "PNG", transparency=0),
    "transparent.png": encode(draw(4).convert("RGBA"), "PNG"),
    "cmyk.jpg": encode(draw(5).convert("CMYK")),
    "grey.jpg": encode(draw(6).convert("L")),
    "webp.webp": encode(draw(7), "WEBP"),
    "named_wrongly.jpg": encode(draw(8), "PNG"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_pictures_are_stored_untouched(zone: Zone, name: str) -> None:
    zone.drop("b.jsonl", tweet("1", name), images={name: ACCEPTED[name]})
    assert zone.ingest() == IngestReport(lines=1, pairs=1, shards=1)
    with zone.catalog.session() as session:
        (shard,) = list_shards(session, "landing")
    assert read_shard(zone.store.get(shard.key)).to_pylist()[0]["image"]["bytes"] == ACCEPTED[name]


def test_odd_texts_are_tweets(zone: Zone) -> None:
    texts = ["https://t.co/AbC", "\N{GRINNING FACE}", "a\u2028b", "x" * 25_000]
    zone.drop("b.jsonl", *(tweet(n, text=text) for n, text in enumerate(texts)), images={"good.jpg": GOOD})
    assert zone.ingest().pairs == 4


def test_blank_lines_are_no_records(zone: Zone) -> None:
    zone.drop("b.jsonl", b"", tweet("1"), b"  \r", tweet("2"), b"", images={"good.jpg": GOOD})
    assert zone.ingest().lines == 2
    assert [row.line for row in zone.rows(StoredTweet)] == [2, 4]


def test_repeated_ids(zone: Zone) -> None:
    other = encode(draw(1))
    zone.drop(
        "a.jsonl",
        tweet("1"),
        tweet("1"),
        tweet("1", text="other words"),
        tweet("1", "other.jpg"),
        tweet(1, "copy.jpg"),
        images={"good.jpg": GOOD, "copy.jpg": GOOD, "other.jpg": other},
    )
    expected = IngestReport(lines=5, pairs=1, duplicates=2, quarantined=2, shards=1, by_code={"id_conflict": 2})
    assert zone.ingest() == expected
    assert [(row.line, row.image_key) for row in zone.rows(QuarantinedTweet)] == [
        (3, FOLDER + "good.jpg"),
        (4, FOLDER + "other.jpg"),
    ]
    # The same against what is committed.
    zone.drop("b.jsonl", tweet("1"), tweet("1", text="other words"), tweet("2"))
    assert zone.ingest() == IngestReport(3, 1, 1, 1, 1, {"id_conflict": 1})
    assert zone.stored_ids() == ["1", "2"]


def test_ids_within_and_across_batches_of_one_run(zone: Zone) -> None:
    zone.drop("a.jsonl", tweet("1"), tweet("2"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", tweet("2"), tweet("3"))
    assert zone.ingest() == IngestReport(lines=4, pairs=3, duplicates=1, shards=1)
    assert zone.ingest(shard_size=1) == IngestReport()


def test_second_run_changes_nothing(zone: Zone) -> None:
    zone.drop("a.jsonl", tweet("1"), tweet("2", "absent.jpg"), images={"good.jpg": GOOD})
    zone.ingest()
    before = (zone.shards(), len(zone.rows(QuarantinedTweet)), len(zone.rows(LandingObject)))
    assert zone.ingest() == IngestReport()
    assert (zone.shards(), len(zone.rows(QuarantinedTweet)), len(zone.rows(LandingObject))) == before


def test_nothing_landed(zone: Zone) -> None:
    assert zone.ingest() == IngestReport()
    zone.drop("empty.jsonl")
    zone.store.put("landing/readme.txt", b"not a batch")
    report = zone.ingest()
    assert (report.lines, report.passed_over) == (0, 2)
    assert "landing/readme.txt: no ending of a batch file (.jsonl, .json," in report.passed_over_names[0]
    assert report.passed_over_names[1] == FOLDER + "empty.jsonl: no record in it"
    assert [row.lines for row in zone.rows(LandingObject)] == [0]


def test_a_batch_put_again_with_one_more_line(zone: Zone) -> None:
    zone.drop("a.jsonl", tweet("1"), tweet("2", "late.jpg"), images={"good.jpg": GOOD})
    assert zone.ingest() == IngestReport(2, 1, 0, 1, 1, {"image_missing": 1})
    zone.drop("a.jsonl", tweet("1"), tweet("2", "late.jpg"), tweet("3"))
    assert zone.ingest() == IngestReport(3, 1, 1, 1, 1, {"image_missing": 1})
    zone.drop("other.jsonl", images={"late.jpg": GOOD})
    # Both rows of tweet 2 are resolved: the newer one by storing it, the older one as its copy.
    assert zone.replay() == IngestReport(lines=2, pairs=1, duplicates=1, shards=1)
    assert zone.stored_ids() == ["1", "3", "2"]
    assert zone.replay() == IngestReport()


def test_sharding(zone: Zone) -> None:
    """Small batches share shards; a group is closed at the end of the object in which a shard got full."""
    for name, ids in (("a", range(2)), ("b", range(2, 4)), ("c", range(4, 11)), ("d", range(11, 12))):
        zone.drop(f"{name}.jsonl", *(tweet(n) for n in ids), images={"good.jpg": GOOD})
    report = zone.ingest(shard_size=5)
    assert report == IngestReport(lines=12, pairs=12, shards=4)
    assert [(position, pairs) for position, _, pairs in zone.shards()] == [(0, 5), (1, 5), (2, 1), (3, 1)]
    assert zone.stored_ids() == [str(n) for n in range(12)]


def test_line_10001_of_a_huge_file(zone: Zone) -> None:
    zone.drop("huge.jsonl", *(tweet(n) for n in range(1, 10_002)), images={"good.jpg": encode(draw(0, 8, 8))})
    handled: list[int] = []
    assert zone.ingest(shard_size=4000, on_progress=handled.append) == IngestReport(
        lines=10_001, pairs=10_001, shards=3
    )
    assert sum(handled) == 10_001
    with zone.catalog.session() as session:
        (origin,) = find_tweet(session, "10001")
    assert (origin.tweet.line, origin.shard.position, origin.tweet.row) == (10_001, 2, 2000)


def test_x_api_response(zone: Zone) -> None:
    response = {
        "data": [
            {"id": "1", "text": "one", "attachments": {"media_keys": ["3_1"]}},
            {"id": "2", "text": "none"},
            {"id": "3", "text": "late", "attachments": {"media_keys": ["3_3"]}},
        ],
        "includes": {"media": [{"media_key": "3_1", "type": "photo"}, {"media_key": "3_3", "type": "photo"}]},
    }
    zone.drop("response.json", json.dumps(response).encode(), images={"3_1.webp": ACCEPTED["webp.webp"]})
    assert zone.ingest() == IngestReport(3, 1, 0, 2, 1, {"image_missing": 1, "image_not_named": 1})
    zone.store.put(FOLDER + "3_3.png", ACCEPTED["palette.png"])
    assert zone.replay() == IngestReport(2, 1, 0, 1, 1, {"image_not_named": 1})
    assert zone.stored_ids() == ["1", "3"]


def test_a_failing_store_leaves_nothing_half_in(zone: Zone) -> None:
    zone.drop("a.jsonl", *(tweet(n) for n in range(40)), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", *(tweet(n) for n in range(40, 80)), tweet(80, "broken.jpg"), images={"broken.jpg": GOOD})
    zone.drop("c.jsonl", *(tweet(n) for n in range(90, 100)))
    broken = Zone(FailingStore(zone.store, "broken.jpg"), zone.catalog)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="the disk is away"):
        broken.ingest(shard_size=10)
    # a.jsonl filled shards and was committed; b.jsonl filled shards and was not.
    assert [row.key for row in zone.rows(LandingObject)] == [FOLDER + "a.jsonl"]
    assert len(zone.stored_ids()) == 40
    assert zone.rows(QuarantinedTweet) == []
    assert zone.ingest(shard_size=10) == IngestReport(lines=51, pairs=51, shards=6)
    assert [pairs for _, _, pairs in zone.shards()] == [10] * 8 + [1, 10]


def test_figures_must_add_up() -> None:
    with pytest.raises(MiscountError, match="found 3 = 1"):
        IngestReport(lines=3, pairs=1, duplicates=1)
    with pytest.raises(MiscountError):
        IngestReport(lines=1, quarantined=1)
