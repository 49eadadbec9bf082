"""Many rejections: bounded rows, exact counts, bounded memory, and a replay that forgets none."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.jobs.ingestion import IngestReport, group, pending
from flows.jobs.ingestion.line_set import LineSet
from flows.jobs.ingestion.report import describe
from infra.catalog.queries import count_quarantined
from infra.catalog.tables import LandingObject, QuarantinedTweet, QuarantineRest
from infra.errors import StoreError
from tests.flows.failing_store import FailingStore
from tests.flows.landing_zone import FOLDER, GOOD, Zone, tweet
from tests.infra.catalog.rejections import count_rejections


@pytest.fixture
def three_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if three rows were kept of a batch and reason."""
    monkeypatch.setattr(group, "ROWS_KEPT", 3)


def counts(zone: Zone) -> list[dict[str, int]]:
    """Rejections by reason, of each landing object."""
    with zone.catalog.session() as session:
        return [count_rejections(session, row.id) for row in zone.rows(LandingObject)]


def lines_without_row(zone: Zone) -> dict[str, list[int]]:
    return {row.code: [*LineSet.unpack(row.lines)] for row in zone.rows(QuarantineRest)}


@pytest.mark.usefixtures("three_rows")
def test_rows_are_bounded_and_counts_exact(zone: Zone) -> None:
    bad = [b"bad" if n % 2 else b'{"text": "x", "image": "good.jpg"}' for n in range(20)]
    zone.drop("a.jsonl", tweet("1"), *bad, tweet("2"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", *[b"bad"] * 4)
    report = zone.ingest()
    assert report == IngestReport(26, 2, 0, 24, 1, {"id_missing": 10, "record_not_json": 14}, without_row=15)
    assert "  of these        15  are only counted, without rows; --replay tries them too" in describe(report)
    assert counts(zone) == [{"id_missing": 10, "record_not_json": 10}, {"record_not_json": 4}]
    assert [(row.lines, row.quarantined) for row in zone.rows(LandingObject)] == [(22, 20), (4, 4)]
    assert len(zone.rows(QuarantinedTweet)) == 9
    assert [row.line for row in zone.rows(QuarantinedTweet) if row.code == "id_missing"] == [2, 4, 6]
    assert [row.records for row in zone.rows(QuarantineRest)] == [7, 7, 1]
    with zone.catalog.session() as session:
        assert count_quarantined(session) == 24


@pytest.mark.usefixtures("three_rows")
def test_a_replay_tries_those_without_rows(zone: Zone) -> None:
    late = [tweet(str(n), f"late{n % 3}.jpg", text=f"words {n}") for n in range(12)]
    zone.drop("a.jsonl", tweet("good"), *late, b"bad", tweet("11", text="words 11"), images={"good.jpg": GOOD})
    assert zone.ingest().by_code == {"image_missing": 12, "record_not_json": 1}
    assert lines_without_row(zone) == {"image_missing": [*range(5, 14)]}
    zone.store.put(FOLDER + "late0.jpg", GOOD)
    zone.store.put(FOLDER + "late1.jpg", b"")
    report = zone.replay()
    assert report == IngestReport(
        13, 4, 0, 9, 1, {"image_empty": 4, "image_missing": 4, "record_not_json": 1}, without_row=6
    )
    assert counts(zone) == [{"image_empty": 4, "image_missing": 4, "record_not_json": 1}]
    assert lines_without_row(zone) == {"image_empty": [6, 9, 12], "image_missing": [7, 10, 13]}
    assert sorted(zone.stored_ids()) == ["0", "11", "3", "6", "9", "good"]
    for number in (1, 2):
        zone.store.put(f"{FOLDER}late{number}.jpg", GOOD)
    # Tweet 11 came whole, with another picture's name and the same bytes: its first record is a duplicate now.
    assert zone.replay() == IngestReport(9, 7, 1, 1, 1, {"record_not_json": 1})
    assert counts(zone) == [{"record_not_json": 1}]
    assert zone.rows(QuarantineRest) == []
    assert zone.replay() == IngestReport(1, 0, 0, 1, 0, {"record_not_json": 1})


@pytest.mark.usefixtures("three_rows")
def test_pictures_of_stored_tweets_may_be_gone_when_the_rest_is_tried(zone: Zone) -> None:
    zone.drop("a.jsonl", *map(tweet, range(5)), *[b"bad"] * 9, images={"good.jpg": GOOD})
    zone.ingest()
    zone.store.delete([FOLDER + "good.jpg"])
    assert zone.replay() == IngestReport(9, 0, 0, 9, 0, {"record_not_json": 9}, without_row=6)


@pytest.mark.usefixtures("three_rows")
def test_a_replay_without_the_batch_file_keeps_all(zone: Zone) -> None:
    zone.drop("a.jsonl", *[b"bad"] * 9)
    zone.drop("b.jsonl", *(tweet(n, "late.jpg") for n in range(9)))
    zone.ingest()
    zone.store.delete([FOLDER + "a.jsonl"])
    zone.drop("b.jsonl", tweet("other"))
    zone.store.put(FOLDER + "late.jpg", GOOD)
    expected = IngestReport(18, 0, 0, 18, 0, {"image_missing": 9, "record_not_json": 9}, without_row=12)
    assert zone.replay() == zone.replay() == expected
    assert lines_without_row(zone) == {"image_missing": [*range(4, 10)], "record_not_json": [*range(4, 10)]}


@pytest.mark.usefixtures("three_rows")
def test_rejections_and_their_batch_enter_together(zone: Zone) -> None:
    zone.drop("a.jsonl", *[b"bad"] * 9, tweet(1, "broken.jpg"), images={"broken.jpg": GOOD})
    broken = Zone(FailingStore(zone.store, "broken.jpg"), zone.catalog)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="the disk is away"):
        broken.ingest()
    assert zone.rows(QuarantinedTweet) == zone.rows(QuarantineRest) == zone.rows(LandingObject) == []
    assert zone.ingest() == IngestReport(10, 1, 0, 9, 1, {"record_not_json": 9}, without_row=6)


def test_many_bad_batches_are_committed_on_the_way(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_ROWS", 10)
    for number in range(10):
        zone.drop(f"{number}.jsonl", tweet(number), *[b"bad"] * 4, images={"good.jpg": GOOD})
    zone.drop("broken.jsonl", tweet("x", "broken.jpg"), images={"broken.jpg": GOOD})
    broken = Zone(FailingStore(zone.store, "broken.jpg"), zone.catalog)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="the disk is away"):
        broken.ingest()
    # Eight and four rows wait, and four more: three batches a commit.
    assert len(zone.rows(LandingObject)) == 9
    assert [count for _, _, count in zone.shards()] == [3, 3, 3]
    assert zone.ingest() == IngestReport(6, 2, 0, 4, 1, {"record_not_json": 4})


def test_sets_of_lines() -> None:
    lines = LineSet()
    wanted = {1, 2, 7, 8, 9, 63, 64, 524_287, 524_288, 10_000_000}
    for line in [*wanted, 7, 64]:
        lines.add(line)
    again = LineSet.unpack(lines.pack())
    assert [*lines] == [*again] == sorted(wanted)
    assert len(lines) == len(again) == len(wanted)
    assert 63 in again
    assert not {0, 3, 62, 10_000_001, 10**9} & {line for line in (0, 3, 62, 10_000_001, 10**9) if line in again}
    assert len(lines.pack()) < 2000
    assert [*LineSet.unpack(LineSet().pack())] == []
    again.add(3)
    assert [*again][2] == 3


RUN = """
import sys
from flows.jobs.ingestion import ingest_landing, replay_quarantine
from infra.catalog.database import open_catalog
from infra.object_store import open_store
store, catalog = open_store(sys.argv[1]), open_catalog(sys.argv[2])
act = replay_quarantine if "replay" in sys.argv else ingest_landing
report = act(store, catalog)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
print(report.lines, report.quarantined, report.without_row, peak)
"""
"""VmHWM, because getrusage's figure begins with that of the process that has started this one."""


@pytest.mark.e2e
def test_many_bad_lines_cost_little_memory(tmp_path: Path) -> None:
    """A million cost 2 GB before, these 730 MB; the peak is the process's own, nearly all of it imports."""
    folder = tmp_path / "objects/landing"
    folder.mkdir(parents=True)
    (folder / "b.jsonl").write_bytes(b"x\n" * 400_000)
    arguments = [(tmp_path / "objects").as_uri(), f"sqlite:///{tmp_path}/catalog.db"]
    for more in ([], ["replay"]):
        command = [sys.executable, "-c", RUN, *arguments, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *figures, peak = [int(figure) for figure in done.stdout.split()]
        assert figures == [400_000, 400_000, 399_000]
        assert peak < 300
