"""What collectors leave in the landing zone, from their files to stored tweets and the report."""

import gzip
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import update

from flows.jobs.ingestion import IngestReport
from flows.jobs.ingestion.report import NAMES_KEPT, describe
from infra.catalog.queries import list_shards
from infra.catalog.tables import LandingObject, QuarantinedTweet, StoredTweet
from itrp.data.pairs import Pair
from itrp.data.shards import read_shard
from tests.flows.landing_zone import FOLDER, GOOD, Zone, draw, encode, tweet


def stored(zone: Zone) -> dict[str, tuple[str, str, datetime | None]]:
    """Id -> text, name of the picture and time, of everything stored."""
    rows: list[dict[str, Any]] = []
    with zone.catalog.session() as session:
        for shard in list_shards(session, "landing"):
            rows += read_shard(zone.store.get(shard.key)).to_pylist()
    return {row["id"]: (row["text"], row["image"]["path"], row["created_at"]) for row in rows}


def put_lines(zone: Zone, name: str, *records: dict[str, Any]) -> None:
    zone.store.put(FOLDER + name, b"".join(json.dumps(record).encode() + b"\n" for record in records))


def flat(number: int) -> dict[str, Any]:
    """A line of twarc2 flatten."""
    media = [{"media_key": f"3_{number}", "type": "photo", "url": f"https://pbs.twimg.com/media/A{number}.jpg"}]
    attachments = {"media_keys": [f"3_{number}"], "media": media}
    return {"id": str(number), "text": f"words {number}", "attachments": attachments, "author": {"id": "1"}}


def page(*numbers: int) -> dict[str, Any]:
    """A line of twarc2 search."""
    tweets = [{**flat(number), "attachments": {"media_keys": [f"3_{number}"]}} for number in numbers]
    media = [{"media_key": f"3_{number}", "type": "photo"} for number in numbers]
    return {"data": tweets, "includes": {"media": media}, "meta": {}, "__twarc": {"version": "2"}}


def test_twarc2_pages_and_flattened_tweets(zone: Zone) -> None:
    for number in range(1, 6):
        zone.store.put(f"{FOLDER}3_{number}.{'jpg' if number % 2 else 'png'}", encode(draw(number), "PNG"))
    zone.store.put(FOLDER + "6.jpg", GOOD)
    put_lines(zone, "pages.jsonl", page(1, 2), page(3))
    put_lines(zone, "flat.jsonl", flat(4), flat(5), flat(6), flat(7))
    assert zone.ingest() == IngestReport(7, 6, 0, 1, 1, {"image_missing": 1})
    assert {id_: found[1] for id_, found in stored(zone).items()} == {
        "1": "3_1.jpg", "2": "3_2.png", "3": "3_3.jpg", "4": "3_4.png", "5": "3_5.jpg", "6": "6.jpg",
    }  # fmt: skip
    (row,) = zone.rows(QuarantinedTweet)
    assert (row.tweet_id, row.line, row.image_key) == ("7", 4, FOLDER + "3_7.jpg")
    assert "or beside it as 3_7.jpeg, 3_7.png, 3_7.gif, 3_7.webp, A7.jpg" in row.reason
    zone.store.put(FOLDER + "A7.webp", GOOD)
    assert zone.replay() == IngestReport(lines=1, pairs=1, shards=1)
    assert stored(zone)["7"][1] == "A7.webp"


def test_a_conflict_names_the_picture_that_was_found(zone: Zone) -> None:
    zone.store.put(FOLDER + "3_1.png", GOOD)
    put_lines(zone, "flat.jsonl", flat(1), {**flat(1), "text": "other words"})
    assert zone.ingest().by_code == {"id_conflict": 1}
    assert [row.image_key for row in zone.rows(QuarantinedTweet)] == [FOLDER + "3_1.png"]


def test_endings(zone: Zone) -> None:
    def line(number: int) -> bytes:
        return json.dumps(tweet(f"t{number}")).encode() + b"\n"

    zone.store.put(FOLDER + "good.jpg", GOOD)
    files = ("a.JSONL", "b.ndjson", "c.jl", "d.jsonlines", "e.Json")
    for number, name in enumerate(files):
        zone.store.put(FOLDER + name, line(number))
    zone.store.put(FOLDER + "f.jsonl.gz", gzip.compress(line(5)) + gzip.compress(line(6)))
    zone.store.put(FOLDER + "g.json.gz", line(7))
    zone.store.put(FOLDER + "h.ndjson.ZST", pa.Codec("zstd").compress(line(8), asbytes=True))
    for name in ("x.txt", "y.csv", "z.jsonl.part", "z.jsonl.zst.part", "w"):
        zone.store.put(FOLDER + name, line(9))
    for name in ("PHOTO.JPG", "a.jpg:large", "a.jpg_large", "x?format=jpg&name=large", "clip.mp4", "b.jpeg"):
        zone.store.put(FOLDER + name, GOOD)
    report = zone.ingest()
    assert (report.lines, report.pairs, report.passed_over) == (9, 9, 5)
    assert sorted(stored(zone)) == [f"t{number}" for number in range(9)]
    assert [name.partition(": ")[0].removeprefix(FOLDER) for name in report.passed_over_names] == [
        "w", "x.txt", "y.csv", "z.jsonl.part", "z.jsonl.zst.part",
    ]  # fmt: skip
    assert "no ending of a batch file (.jsonl, .json, .ndjson, .jl, .jsonlines; also .gz, .zst) in 'x.txt'" in describe(
        report
    )


def test_what_is_left_behind_is_passed_over_by_name(zone: Zone, tmp_path: Path) -> None:
    zone.drop("b.jsonl", tweet("1"), images={"good.jpg": GOOD})
    for key in ("landing/__MACOSX/day/._b.jsonl", FOLDER + "._b.jsonl", FOLDER + "._good.jpg", FOLDER + ".b-tmp.jsonl"):
        zone.store.put(key, b"\0\5\x16\7")
    zone.store.put("raw/c.jsonl", json.dumps(tweet("2")).encode())
    root = tmp_path / "objects"
    (root / "landing/today").symlink_to("../raw")
    (root / "landing/gone.jsonl").symlink_to("nowhere")
    (root / "landing/again.jsonl").symlink_to(root / FOLDER / "b.jsonl")
    report = zone.ingest()
    # The link to a file is followed, and holds the same tweet.
    assert (report.pairs, report.duplicates, report.quarantined) == (1, 0, 1)
    assert report.passed_over_names == (
        "landing/__MACOSX/day/._b.jsonl: left by macOS beside the file itself",
        "landing/day/._b.jsonl: left by macOS beside the file itself",
        "landing/day/.b-tmp.jsonl: a hidden file, as a copy under way is: give it a name without the dot when it is complete",
        "landing/gone.jsonl: a symbolic link to nothing",
        "landing/today: a symbolic link to a folder: move the folder here",
    )
    assert describe(report).splitlines()[2].split() == ["skipped", "5", "objects"]


def test_many_names_are_counted(zone: Zone) -> None:
    for number in range(NAMES_KEPT + 5):
        zone.store.put(f"{FOLDER}{number:02d}.txt", b"")
    report = zone.ingest()
    assert (report.passed_over, len(report.passed_over_names)) == (NAMES_KEPT + 5, NAMES_KEPT)
    assert describe(report).endswith("\n    and 5 more")
    # Named again in each run, as they lie there still; not those before the key to start after.
    assert zone.ingest().passed_over == NAMES_KEPT + 5
    assert zone.ingest(start_after=FOLDER + "19.txt").passed_over == 5


def test_given_keys(zone: Zone) -> None:
    zone.drop("B.JSONL", tweet("1"), images={"good.jpg": GOOD})
    keys = [FOLDER + "B.JSONL", FOLDER + "gone.jsonl", FOLDER + "good.jpg", FOLDER + "._x.jsonl", "shards/x.json"]
    zone.store.put(FOLDER + "._x.jsonl", b"")
    report = zone.ingest(keys=keys)
    assert (report.pairs, report.passed_over) == (1, 2)
    assert {name.partition(": ")[2] for name in report.passed_over_names} == {
        "the object is gone", "left by macOS beside the file itself",
    }  # fmt: skip


def test_the_api_and_a_scraper_give_one_text(zone: Zone) -> None:
    zone.drop("a.jsonl", tweet("1", text="Fish &amp; chips &lt;3"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", tweet("1", text="Fish & chips <3"), tweet("1", text="Fish & chips"))
    assert zone.ingest() == IngestReport(3, 1, 1, 1, 1, {"id_conflict": 1})
    assert stored(zone)["1"][0] == "Fish & chips <3"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Fish &amp; chips", {"text": "Fish &amp; chips"}),
        ("Fish &amp; chips", {"text": "Fish & chips"}),
        ("cut\u2026", {"text": "cut\u2026", "truncated": True, "extended_tweet": {"full_text": "cut no more"}}),
        ("RT @a: wo\u2026", {"text": "RT @a: wo\u2026", "retweeted_status": {"full_text": "words"}}),
        ("short", {"text": "short", "full_text": "short and long"}),
    ],
)
def test_what_an_earlier_version_stored_is_a_duplicate(zone: Zone, before: str, now: dict[str, Any]) -> None:
    """A catalog of before: its content hash is of the text as it came."""
    zone.drop("a.jsonl", tweet("1", text="x"), images={"good.jpg": GOOD})
    zone.ingest()
    with zone.catalog.session() as session:
        session.execute(update(StoredTweet).values(content_sha256=Pair("1", before, GOOD, "good.jpg").content_sha256))
    zone.drop("b.jsonl", tweet("1", **now), tweet("1", text="other words"))
    assert zone.ingest() == IngestReport(2, 0, 1, 1, 0, {"id_conflict": 1})


def test_a_key_in_another_form_of_unicode(zone: Zone) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Übersee é.jpg") for form in ("NFC", "NFD"))
    assert composed != decomposed
    zone.store.put(FOLDER + "1/" + decomposed, GOOD)
    zone.store.put(FOLDER + "2/" + composed, GOOD)
    zone.drop("a.jsonl", tweet("1", "1/" + composed), tweet("2", "2/" + decomposed), tweet("3", "3/" + composed))
    assert zone.ingest() == IngestReport(3, 2, 0, 1, 1, {"image_missing": 1})
    (row,) = zone.rows(QuarantinedTweet)
    assert "its letters composed or decomposed (NFC, NFD), found nothing: upload it, then replay" in row.reason
    assert row.image_key == FOLDER + "3/" + composed


def test_times_that_cannot_be_read_are_counted(zone: Zone) -> None:
    times = ["2016-10-25 19:21:56 EST", "Wed, 10 Oct 2018 20:19:24 +0000", "11/25/2016 7:21:56 PM", None]
    lines = [tweet(number, created_at=moment) for number, moment in enumerate(times)]
    zone.drop("a.jsonl", *lines, lines[0], images={"good.jpg": GOOD})
    report = zone.ingest()
    assert (report.pairs, report.duplicates, report.times_unread) == (4, 1, 2)
    assert [found[2] for found in stored(zone).values()] == [
        None,
        datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC),
        None,
        None,
    ]
    assert "  stored           2  without their created_at, which could not be read" in describe(report)


def test_a_batch_of_rounded_ids_is_refused_and_stays_refused(zone: Zone) -> None:
    rounded = [f"{129403047242780 + n}0000" for n in range(1, 6)]
    zone.drop("a.jsonl", *map(tweet, rounded), tweet("own"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", tweet("1294030472427835393"))
    assert zone.ingest() == IngestReport(7, 2, 0, 5, 1, {"id_rounded": 5})
    assert zone.stored_ids() == ["own", "1294030472427835393"]
    reasons = {row.reason for row in zone.rows(QuarantinedTweet)}
    assert len(reasons) == 1
    told = reasons.pop()
    assert "export the ids again as text" in told
    assert told.endswith("; put the batch under another name then")
    assert zone.replay() == IngestReport(5, 0, 0, 5, 0, {"id_rounded": 5})
    assert len(zone.stored_ids()) == 2


def test_id_str_wins_over_a_rounded_id(zone: Zone) -> None:
    lines = [tweet(1050118621198921700, id_str=f"10501186211989217{n}", text=f"words {n}") for n in range(28, 48)]
    zone.drop("a.jsonl", *lines, images={"good.jpg": GOOD})
    assert zone.ingest() == IngestReport(lines=20, pairs=20, shards=1)
    assert zone.stored_ids()[0] == "1050118621198921728"


def test_a_damaged_archive_gives_what_lies_before_the_damage(zone: Zone) -> None:
    zone.store.put(FOLDER + "good.jpg", GOOD)
    data = gzip.compress(b"".join(json.dumps(tweet(n)).encode() + b"\n" for n in range(500)))
    zone.store.put(FOLDER + "a.jsonl.gz", data[: len(data) * 3 // 4])
    report = zone.ingest()
    assert report.by_code == {"batch_damaged": 1}
    assert 100 < report.pairs < 499
    (row,) = zone.rows(QuarantinedTweet)
    assert row.line == report.lines
    assert "copy the file again, under another name" in row.reason


def test_a_page_that_an_earlier_version_refused_is_named_when_it_is_replayed(zone: Zone) -> None:
    """Its lines were records then; a replay takes in as many tweets as there were lines, and names the file."""
    for number in range(1, 6):
        zone.store.put(f"{FOLDER}3_{number}.jpg", GOOD)
    put_lines(zone, "pages.jsonl", page(1, 2), page(3, 4, 5))
    info = zone.store.stat(FOLDER + "pages.jsonl")
    assert info is not None
    zone.drop("other.jsonl", b"bad", b"bad")
    zone.ingest(keys=[FOLDER + "other.jsonl"])
    with zone.catalog.session() as session:
        session.execute(update(LandingObject).values(key=info.key, etag=info.etag))
        session.execute(update(QuarantinedTweet).values(object_key=info.key, code="id_missing"))
    report = zone.replay()
    assert (report.lines, report.pairs) == (2, 2)
    assert report.passed_over_names == (
        f"{FOLDER}pages.jsonl: an earlier version found 2 records in it, of 5 today: put it under another name "
        "and ingest it, to store the others",
    )
    put_lines(zone, "again.jsonl", page(1, 2), page(3, 4, 5))
    assert zone.ingest(keys=[FOLDER + "again.jsonl"]) == IngestReport(5, 3, 2, 0, 1)
