"""A landing zone whose folder was copied: new times, same contents."""

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from flows.jobs.ingestion import IngestReport
from infra.catalog.database import open_catalog
from infra.catalog.tables import LandingObject
from infra.object_store import listed_etag, open_store
from tests.flows.landing_zone import FOLDER, GOOD, Zone, tweet


@pytest.fixture
def filled(zone: Zone) -> Zone:
    """Two batches of three tweets, one of them refused."""
    zone.drop("a.jsonl", tweet(1), tweet(2, "absent.jpg"), images={"good.jpg": GOOD})
    zone.drop("b.jsonl", tweet(3))
    assert zone.ingest() == IngestReport(lines=3, pairs=2, quarantined=1, shards=1, by_code={"image_missing": 1})
    return zone


def copy(zone: Zone, folder: Path) -> Zone:
    """As `cp -r` does, into files of another time."""
    source = Path(zone.store.url.removeprefix("file://")).parent
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(folder.rglob("*.jsonl"))):
        os.utime(path, ns=(0, 1_700_000_000_000_000_000 + number))
    return Zone(open_store((folder / "objects").as_uri()), open_catalog(f"sqlite:///{folder}/catalog.db"))


def etags(zone: Zone) -> dict[str, str]:
    return {row.key: row.etag for row in zone.rows(LandingObject)}


def make_old(zone: Zone) -> None:
    """The catalog as versions without hashes left it."""
    with zone.catalog.session() as session:
        for key, etag in etags(zone).items():
            session.execute(update(LandingObject).where(LandingObject.key == key).values(etag=listed_etag(etag)))


def test_a_copy_ingests_nothing_again(filled: Zone, tmp_path: Path) -> None:
    copied = copy(filled, tmp_path / "copy")
    assert copied.ingest() == IngestReport()
    key = copied.drop("c.jsonl", tweet(4))
    assert copied.ingest() == IngestReport(lines=1, pairs=1, shards=1)
    assert copied.stored_ids() == ["1", "3", "4"]
    assert filled.store.stat(key) is None
    assert filled.ingest() == IngestReport()


def test_a_known_file_is_read_once_after_it_was_copied(
    filled: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = copy(filled, tmp_path / "copy")
    assert copied.ingest() == IngestReport()
    assert {key: listed_etag(etag) for key, etag in etags(copied).items()} == {
        info.key: info.etag for info in copied.store.list(FOLDER, endings=".jsonl")
    }
    monkeypatch.setattr(copied.store, "open", None)  # whoever reads a file fails
    assert copied.ingest() == IngestReport()


def test_a_file_of_the_same_size_with_other_content_is_new(filled: Zone, tmp_path: Path) -> None:
    copied = copy(filled, tmp_path / "copy")
    copied.drop("b.jsonl", tweet(5))
    assert copied.ingest() == IngestReport(lines=1, pairs=1, shards=1)
    assert copied.stored_ids() == ["1", "3", "5"]


def test_a_catalog_without_hashes_takes_nothing_in_again_and_learns_them(filled: Zone, tmp_path: Path) -> None:
    now = etags(filled)
    make_old(filled)
    assert etags(filled) != now
    assert filled.ingest() == IngestReport()
    assert etags(filled) == now
    assert copy(filled, tmp_path / "copy").ingest() == IngestReport()


def test_quarantined_tweets_of_a_copy_are_retried(filled: Zone, tmp_path: Path) -> None:
    copied = copy(filled, tmp_path / "copy")
    copied.store.put(FOLDER + "absent.jpg", GOOD)
    assert copied.replay() == IngestReport(lines=1, pairs=1, shards=1)


def test_a_batch_removed_while_it_is_identified_is_passed_over(filled: Zone) -> None:
    make_old(filled)
    found = [*filled.store.list(FOLDER, endings=".jsonl")]
    filled.store.delete([FOLDER + "a.jsonl"])
    filled.store.list = lambda *_, **__: iter(found)  # type: ignore[method-assign]
    assert filled.ingest() == IngestReport()
