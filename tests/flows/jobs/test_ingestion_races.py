"""Two ingestions at once: the one that comes second goes on with what is left, and counts nothing twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.jobs.ingestion import IngestReport
from flows.jobs.ingestion import landing as landing_module
from flows.jobs.ingestion.commit import ConcurrentIngestionError
from flows.jobs.ingestion.folder_races import store_folder
from infra.catalog.database import open_catalog
from infra.catalog.tables import LandingObject, QuarantinedTweet, StoredTweet
from infra.object_store import open_store
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import DataError
from tests.flows.landing_zone import FOLDER, GOOD, Zone, tweet


def test_the_loser_finds_nothing_left(zone: Zone) -> None:
    """Another run commits the same tweets while this one reads."""
    zone.drop("a.jsonl", *(tweet(n) for n in range(5)), b"bad", images={"good.jpg": GOOD})
    inner: list[IngestReport] = []
    handled: list[int] = []

    def run_another(more: int) -> None:
        handled.append(more)
        if not inner:
            inner.append(zone.ingest())

    assert zone.ingest(on_progress=run_another) == IngestReport()
    assert inner == [IngestReport(6, 5, 0, 1, 1, {"record_not_json": 1})]
    assert sum(handled) == 0
    assert [pairs for _, _, pairs in zone.shards()] == [5]
    assert len(zone.rows(QuarantinedTweet)) == 1
    assert zone.ingest() == IngestReport()


def test_the_loser_takes_in_what_the_winner_had_not(zone: Zone) -> None:
    """The winner starts while the first batch is read, and ends before the second one lands."""
    zone.drop("a.jsonl", *(tweet(n) for n in range(5)), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", *(tweet(n) for n in range(3, 9)))
    other = Zone(zone.store, zone.catalog)
    winners: list[IngestReport] = []

    def run_another(_: int) -> None:
        if not winners:
            winners.append(other.ingest(keys=[FOLDER + "a.jsonl"]))

    assert zone.ingest(on_progress=run_another) == IngestReport(lines=6, pairs=4, duplicates=2, shards=1)
    assert winners == [IngestReport(lines=5, pairs=5, shards=1)]
    assert zone.stored_ids() == [str(n) for n in range(9)]


def test_what_was_committed_before_the_race_stays_counted(zone: Zone) -> None:
    zone.drop("a.jsonl", *(tweet(n) for n in range(4)), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", *(tweet(n) for n in range(10, 14)))
    winners: list[IngestReport] = []

    def run_another(_: int) -> None:
        if len(zone.rows(LandingObject)) == 1 and not winners:
            winners.append(zone.ingest())

    # The first batch fills a shard and is committed; the race is about the second.
    assert zone.ingest(shard_size=4, on_progress=run_another) == IngestReport(lines=4, pairs=4, shards=1)
    assert winners == [IngestReport(lines=4, pairs=4, shards=1)]


def test_it_gives_up_after_many_lost_races(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_module, "LOST_RACES", 3)
    monkeypatch.setattr(landing_module, "LONGEST_PAUSE", 0.0)
    zone.drop("a.jsonl", tweet(0), images={"good.jpg": GOOD})
    races: list[int] = []

    def put_the_same_tweet_first(more: int) -> None:
        """A rival that commits the tweet of this round under another batch, and lands the next one."""
        if more > 0:
            number = len(races)
            races.append(number)
            zone.drop(f"rival{number}.jsonl", tweet(number))
            zone.ingest(keys=[f"{FOLDER}rival{number}.jsonl"])
            zone.drop("a.jsonl", tweet(number + 1))

    with pytest.raises(ConcurrentIngestionError, match="this group is not stored, run the ingestion again"):
        zone.ingest(on_progress=put_the_same_tweet_first)
    assert len(races) == 4


def make_folder(folder: Path, count: int) -> Twitter100kFolder:
    (folder / "images").mkdir(parents=True)
    (folder / "text.txt").write_text("".join(f"words {n}\n" for n in range(count)))
    for n in range(1, count + 1):
        (folder / f"images/{n}.jpg").write_bytes(GOOD)
    return Twitter100kFolder(folder)


def test_two_ingestions_of_a_folder(zone: Zone, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "t", 5)
    inner: list[IngestReport] = []

    def run_another(_: int) -> None:
        if not inner:
            inner.append(store_folder(zone.store, zone.catalog, "t", source))

    assert store_folder(zone.store, zone.catalog, "t", source, on_progress=run_another) == IngestReport()
    assert inner == [IngestReport(lines=5, pairs=5, shards=1)]
    assert len(zone.rows(LandingObject)) == 1


def test_two_folders_for_one_name(zone: Zone, tmp_path: Path) -> None:
    first, second = make_folder(tmp_path / "1", 3), make_folder(tmp_path / "2", 4)

    def run_another(_: int) -> None:
        store_folder(zone.store, zone.catalog, "t", second)

    with pytest.raises(DataError, match="choose another name with --name"):
        store_folder(zone.store, zone.catalog, "t", first, on_progress=run_another)
    assert len(zone.rows(StoredTweet)) == 4


RUN = """
import sys
from flows.jobs.ingestion import ingest_landing
from infra.catalog.database import open_catalog
from infra.object_store import open_store
store, catalog = open_store(sys.argv[1]), open_catalog(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
report = ingest_landing(store, catalog, shard_size=7)
print(report.lines, report.pairs, report.duplicates, report.quarantined, report.shards)
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    url, catalog_url = (tmp_path / "objects").as_uri(), f"sqlite:///{tmp_path}/catalog.db"
    zone = Zone(open_store(url), open_catalog(catalog_url))
    for batch in range(30):
        numbers = range(10 * batch, 10 * batch + 10)
        zone.drop(f"{batch:02d}.jsonl", *(tweet(n) for n in numbers), b"bad", images={"good.jpg": GOOD})
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, url, catalog_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    said = []
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        out, err = run.communicate()
        assert run.returncode == 0, err
        said.append([int(figure) for figure in out.split()])
    assert [sum(figures) for figures in zip(*said, strict=True)][:4] == [330, 300, 0, 30]
    assert sorted(zone.stored_ids(), key=int) == [str(n) for n in range(300)]
    assert len(zone.rows(StoredTweet)) == 300
    assert len(zone.rows(QuarantinedTweet)) == len(zone.rows(LandingObject)) == 30
    assert [position for position, _, _ in zone.shards()] == [*range(len(zone.shards()))]
    zone.catalog.dispose()
