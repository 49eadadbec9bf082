"""Folders of captions -> data sets with ratings or with matched margins, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.jobs.ingestion import IngestReport, ingest_folder
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset, list_shards
from infra.catalog.tables import QuarantinedTweet
from infra.object_store import ObjectStore
from itrp.data.annotations import Annotations
from itrp.data.shards import read_shard
from itrp.datasets.captions_match import MatchedCaptions
from itrp.datasets.rated_captions import RatedCaptions
from tests.flows.landing_zone import Zone
from tests.itrp.datasets.caption_files import paint, write_captions

RATED = ("image", "text", "rating_1", "rating_2", "rating_3")
ROWS = [
    ("images/1.jpg", "a red square", 4, 4, 3),
    ("images/1.jpg", "a dog", 1, 1, 1),
    ("images/1.jpg", "a square", 1, 5, 2),
    ("images/9.jpg", "nowhere", 1, 2, 2),
    ("2.jpg", "  ", 1, 2, 2),
    ("2.jpg", "green, mostly", 3, 2, 1),
]


def read_stored(store: ObjectStore, catalog: Catalog, name: str) -> tuple[list[str], Annotations]:
    """Ids in stored order, and the annotations."""
    with catalog.session() as session:
        ids = [id_ for shard in list_shards(session, name)
               for id_ in read_shard(store.get(shard.key), ["id"]).column("id").to_pylist()]  # fmt: skip
        dataset = get_dataset(session, name)
        assert dataset is not None
        assert dataset.annotations_key is not None
        return ids, Annotations.from_parquet(store.get(dataset.annotations_key))


def test_rated_pairs_are_stored_with_their_ratings_and_bad_rows_reported(zone: Zone, tmp_path: Path) -> None:
    folder = write_captions(tmp_path / "rated", RATED, ROWS, {f"images/{n}.jpg": paint(n) for n in (1, 2)})
    report = ingest_folder(zone.store, zone.catalog, "rated", RatedCaptions(folder))
    by_code = {"image_missing": 1, "rating_invalid": 1, "text_empty": 1}
    assert report == IngestReport(lines=6, pairs=3, quarantined=3, shards=1, by_code=by_code)
    ids, annotations = read_stored(zone.store, zone.catalog, "rated")
    assert ids == annotations.ids.tolist() == ["1-1", "1-2", "2-6"]
    np.testing.assert_allclose(annotations.rating, [11 / 3, 1, 2], rtol=1e-6)
    assert annotations.text.tolist() == [1, 0, 1]
    assert annotations.split[0] == annotations.split[1]
    assert {(row.code, row.line) for row in zone.rows(QuarantinedTweet)} == {
        ("rating_invalid", 3), ("image_missing", 4), ("text_empty", 5),
    }  # fmt: skip
    assert ingest_folder(zone.store, zone.catalog, "rated", RatedCaptions(folder)) == IngestReport()


def test_matched_captions_are_stored_and_the_report_says_how_they_were_made(zone: Zone, tmp_path: Path) -> None:
    rows = [(f"{n}.jpg", f"caption {n}", 1) for n in range(1, 6)] + [("1.jpg", "another", 0), ("7.jpg", "nowhere", 1)]
    images = {f"images/{n}.jpg": paint(n) for n in range(1, 6)}
    folder = write_captions(tmp_path / "match", ("image", "text", "text_is_represented"), rows, images)
    report = ingest_folder(zone.store, zone.catalog, "match", MatchedCaptions(folder))
    assert (report.lines, report.pairs, report.by_code) == (11, 10, {"image_missing": 1})
    assert [note.split(":")[0] for note in report.notes] == ["made 10 pairs of 5 photographs", "not read"]
    ids, annotations = read_stored(zone.store, zone.catalog, "match")
    assert ids == annotations.ids.tolist()
    assert annotations.text.tolist() == [1, 0] * 5


def test_the_command_line_reads_both_layouts(itrp: Callable[..., Any], tmp_path: Path) -> None:
    images = {f"images/{n}.jpg": paint(n) for n in range(1, 5)}
    rated = write_captions(tmp_path / "rated", RATED, ROWS, images)
    done = itrp(tmp_path / "work", "ingest", "rated-captions", rated, "--name", "rated")
    assert done.status == 0, done.err
    assert done.out.splitlines()[0] == "6 lines = 3 pairs stored + 0 duplicates + 3 quarantined; 1 new shards"
    rows = [(f"{n}.jpg", f"caption {n}", 1) for n in range(1, 5)]
    match = write_captions(tmp_path / "match", ("image", "text", "text_is_represented"), rows, images)
    done = itrp(tmp_path / "work", "ingest", "captions-match", match, "--name", "match", "--json")
    report = json.loads(done.out)
    assert (report["pairs"], len(report["notes"])) == (8, 2)
    again = itrp(tmp_path / "work", "ingest", "captions-match", match, "--name", "other")
    assert "\n  made 8 pairs of 4 photographs: every caption with its own photograph" in again.out


@pytest.mark.parametrize("layout", ["rated-captions", "captions-match"])
def test_wrong_use(itrp: Callable[..., Any], tmp_path: Path, layout: str) -> None:
    wrong = itrp(tmp_path, "ingest", layout, tmp_path, "--name", "n", "--images", tmp_path)
    assert (wrong.status, wrong.out) == (2, "")
    assert f"itrp ingest {layout} takes neither --images nor" in wrong.err
    missing = itrp(tmp_path, "ingest", layout, tmp_path, "--name", "n")
    assert missing.status == 1
    assert "found no pairs.csv: give the folder that holds both" in missing.err
