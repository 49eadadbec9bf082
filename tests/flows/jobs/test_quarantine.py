"""`itrp quarantine`: what is refused, why, where, what mends it; and trying it again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from flows.jobs.ingestion import ingest_folder
from flows.jobs.ingestion.group import ROWS_KEPT
from flows.jobs.quarantine import QuarantineFilter, describe_quarantine, list_quarantine, parse_since
from infra.catalog.tables import QuarantinedTweet
from itrp.data.rejections import REASONS, REMEDIES, describe_reason, find_remedy
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import WrongUseError
from serving.errors import NotFoundError
from tests.flows.cli.test_main import HEAVY, run_light
from tests.flows.landing_zone import FOLDER, GOOD, Zone, tweet


@pytest.fixture
def filled(zone: Zone, tmp_path: Path) -> Zone:
    """Landing: three tweets without their picture, a line that is no JSON. A folder: a tweet without its picture."""
    zone.drop("a.jsonl", tweet("1"), tweet("2", "late.jpg"), b"{", tweet("3", "late.jpg"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", tweet("4", "never.jpg"))
    zone.ingest()
    (tmp_path / "t/images").mkdir(parents=True)
    (tmp_path / "t/text.txt").write_text("one\ntwo\n")
    (tmp_path / "t/images/2.jpg").write_bytes(GOOD)
    ingest_folder(zone.store, zone.catalog, "folder", Twitter100kFolder(tmp_path / "t"))
    return zone


def test_every_reason_has_a_remedy_and_an_unknown_one_is_no_error() -> None:
    assert REMEDIES.keys() == REASONS.keys()
    assert (find_remedy("new"), describe_reason("new")) == (
        "follow the reason",
        "a reason that this version does not know",
    )


def test_rows_by_reason(filled: Zone) -> None:
    missing, broken = list_quarantine(filled.catalog, QuarantineFilter())
    assert (missing.code, missing.count, missing.meaning) == ("image_missing", 4, REASONS["image_missing"])
    assert [(row.data, row.key.rpartition("/")[2], row.line, row.tweet_id) for row in missing.rows] == [
        ("folder", "text.txt", 1, "1"),
        ("landing", "a.jsonl", 2, "2"),
        ("landing", "a.jsonl", 4, "3"),
        ("landing", "b.jsonl", 1, "4"),
    ]
    assert missing.rows[1].image_key == f"{FOLDER}late.jpg"
    assert missing.next_steps == (
        "itrp quarantine --replay tries the landing zone's rows again",
        "the data set folder is ingested whole: itrp ingest twitter100k again, with another --name",
    )
    assert [(row.key, row.line, row.tweet_id) for row in broken.rows] == [(f"{FOLDER}a.jsonl", 3, None)]


def test_the_text_names_key_line_reason_and_remedy(filled: Zone) -> None:
    lines = describe_quarantine(list_quarantine(filled.catalog, QuarantineFilter(data="landing"), limit=2)).splitlines()
    assert lines[0] == "4 quarantined, 2 reasons"
    assert lines[2] == "     3  image_missing: no object exists at the image's key"
    assert lines[3] == f"        remedy: {REMEDIES['image_missing']}"
    assert lines[5].startswith(
        f"    {FOLDER}a.jsonl:2  tweet 2  expected an image at '{FOLDER}late.jpg', found nothing"
    )
    assert lines[7] == "    and 1 more: --limit 3 shows them"
    assert any(line.startswith(f"    {FOLDER}a.jsonl:3  expected JSON") for line in lines)


def test_records_without_a_row_are_counted_and_tried_again(zone: Zone) -> None:
    zone.drop("many.jsonl", *[b"{"] * (ROWS_KEPT + 5), tweet("1", "late.jpg"))
    zone.ingest()
    broken, missing = list_quarantine(zone.catalog, QuarantineFilter(), limit=2)
    assert (broken.count, broken.without_row, len(broken.rows)) == (ROWS_KEPT + 5, 5, 2)
    assert (missing.count, missing.without_row) == (1, 0)
    lines = describe_quarantine([broken]).splitlines()
    assert lines[-2:] == [
        f"    and {ROWS_KEPT - 2} more: --limit {ROWS_KEPT} shows them",
        "    and 5 that were counted only: --replay tries them too",
    ]
    later = QuarantineFilter(since=datetime.now(UTC) + timedelta(days=1))
    assert list_quarantine(zone.catalog, later) == []
    assert zone.replay().lines == ROWS_KEPT + 6


def test_filters(filled: Zone) -> None:
    def count(**given: Any) -> dict[str, int]:
        return {group.code: group.count for group in list_quarantine(filled.catalog, QuarantineFilter(**given))}

    assert count(reason="record_not_json") == {"record_not_json": 1}
    assert count(reason="id_missing") == {}
    assert count(data="folder") == {"image_missing": 1}
    now = datetime.now(UTC)
    with filled.catalog.session() as session:
        old = (
            update(QuarantinedTweet).where(QuarantinedTweet.tweet_id == "2").values(created_at=now - timedelta(days=9))
        )
        session.execute(old)
    assert count(since=now - timedelta(days=1)) == {"image_missing": 3, "record_not_json": 1}
    with pytest.raises(WrongUseError, match=r"--reason: expected one of batch_damaged, .*, found 'missing'"):
        count(reason="missing")
    with pytest.raises(NotFoundError, match="no data set is called 'tweets': there are folder, landing"):
        count(data="tweets")


def test_what_was_resolved_is_no_longer_listed(filled: Zone) -> None:
    filled.store.put(f"{FOLDER}late.jpg", GOOD)
    filled.replay()
    groups = list_quarantine(filled.catalog, QuarantineFilter(data="landing"))
    assert {group.code: group.count for group in groups} == {"image_missing": 1, "record_not_json": 1}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T18:00", datetime(2026, 11, 29, 18, tzinfo=UTC)),
        ("2026-11-29T18:00+02:00", datetime(2026, 11, 29, 16, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert parse_since(text) == moment
    with pytest.raises(WrongUseError, match="--since: expected a date such as 2026-11-29"):
        parse_since("yesterday")


def use(filled: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_URL", filled.store.url)
    monkeypatch.setenv("ITRP_CATALOG_URL", f"sqlite:///{tmp_path}/catalog.db")


def test_the_command(itrp: Callable[..., Any], filled: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(filled, tmp_path, monkeypatch)
    report = json.loads(itrp(tmp_path / "w", "quarantine", "--json").out)
    assert (report["quarantined"], [group["code"] for group in report["reasons"]]) == (
        5,
        ["image_missing", "record_not_json"],
    )
    assert len(report["reasons"][0]["rows"]) == 4
    assert {"data", "key", "line", "tweet_id", "image_key", "reason", "since"} == report["reasons"][0]["rows"][0].keys()
    shown = itrp(tmp_path / "w", "quarantine", "--reason", "record_not_json", "--data", "landing")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("1 quarantined, 1 reason\n")
    assert itrp(tmp_path / "w", "quarantine", "--since", "2999-01-01").out == "nothing is quarantined\n"
    for wrong in (["--reason", "x"], ["--since", "x"], ["--limit", "x"]):
        done = itrp(tmp_path / "w", "quarantine", *wrong)
        assert (done.status, done.out) == (2, "")


def test_the_command_imports_nothing_heavy(tmp_path: Path) -> None:
    done = run_light([*HEAVY, "pandas"], "quarantine", "--json", ITRP_WORK_DIR=str(tmp_path))
    assert (done.stdout, done.stderr.splitlines()[-1]) == ('{"quarantined": 0, "reasons": []}\n', "[]")


@pytest.mark.usefixtures("prefect_server")
def test_replay_and_what_is_left(
    itrp: Callable[..., Any], filled: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(filled, tmp_path, monkeypatch)
    filled.store.put(f"{FOLDER}late.jpg", GOOD)
    report = json.loads(itrp(tmp_path / "w", "quarantine", "--replay", "--data", "landing", "--json").out)
    assert (report["replay"]["lines"], report["replay"]["pairs"]) == (4, 2)
    assert {group["code"]: group["count"] for group in report["reasons"]} == {"image_missing": 1, "record_not_json": 1}
    assert filled.stored_ids() == ["1", "2", "3"]
