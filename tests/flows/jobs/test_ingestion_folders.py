"""Twitter100k's and ITR's folders -> data sets of their own."""

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sqlalchemy import select, update

from flows.jobs.data_names import name_file
from flows.jobs.ingestion import IngestReport, ingest_folder, ingest_landing, replay_quarantine
from infra.catalog.database import Catalog
from infra.catalog.queries import get_dataset, list_shards
from infra.catalog.tables import Dataset, LandingObject, QuarantinedTweet
from infra.object_store import ObjectStore
from itrp.data.annotations import Annotations
from itrp.data.shards import read_shard
from itrp.datasets.itr import ItrFolder
from itrp.datasets.itr_labels import LABEL_COLUMNS
from itrp.datasets.ltec import LtecFolder
from itrp.datasets.table import TableSource
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import DataError, WrongUseError
from tests.flows.landing_zone import Zone

REAL = Path(__file__).parents[3].parent / "shared/data/twitter100k_layout"
ONE_HOT = {"11": "1000", "01": "0100", "10": "0010", "00": "0001"}


@pytest.fixture
def store(zone: Zone) -> ObjectStore:
    return zone.store


@pytest.fixture
def catalog(zone: Zone) -> Catalog:
    return zone.catalog


def draw(number: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 2 * number, 3 * number)).save(sink, "JPEG")
    return sink.getvalue()


def make_twitter100k(folder: Path, count: int) -> Twitter100kFolder:
    (folder / "images").mkdir(parents=True)
    (folder / "text.txt").write_bytes(b"".join(b"text %d\n" % n for n in range(1, count + 1)))
    for n in range(1, count + 1):
        (folder / f"images/{n}.jpg").write_bytes(draw(n))
    return Twitter100kFolder(folder)


def make_itr(folder: Path, rows: list[tuple[str, str]], without: tuple[str, ...] = ()) -> Path:
    """(id, relation code) rows in the quoted form; pictures for all ids but some."""
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False)
        writer.writerow(["tweet_id", "user_id", "tweet", *LABEL_COLUMNS])
        writer.writerows([id_, "9", f'text "{id_}"', *code, *ONE_HOT[code]] for id_, code in rows)
    for number, (id_, _) in enumerate(rows):
        if id_ not in without:
            (folder / f"images/T{id_}.jpg").write_bytes(draw(number))
    return folder / "labels.csv"


def test_twitter100k(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    source = make_twitter100k(tmp_path / "t", 7)
    (tmp_path / "t/images/3.jpg").unlink()
    report = ingest_folder(store, catalog, "tweets", source, shard_size=4, flow_run_id="run")
    assert report == IngestReport(7, 6, 0, 1, 2, {"image_missing": 1})
    with catalog.session() as session:
        dataset = get_dataset(session, "tweets")
        assert dataset is not None
        assert (dataset.layout, dataset.annotations_key) == ("twitter100k", None)
        shards = list_shards(session, "tweets")
        assert [(shard.pairs, shard.flow_run_id) for shard in shards] == [(4, "run"), (2, "run")]
        (row,) = session.scalars(select(QuarantinedTweet))
        assert (row.line, row.image_key) == (3, "images/3.jpg")
    rows = read_shard(store.get(shards[0].key)).to_pylist()
    assert [(row["id"], row["text"]) for row in rows] == [(i, f"text {i}") for i in ("1", "2", "4", "5")]
    assert rows[2]["image"]["bytes"] == draw(4)


def test_nothing_is_stored_of_texts_that_moved_to_other_pictures(
    store: ObjectStore, catalog: Catalog, tmp_path: Path
) -> None:
    source = make_twitter100k(tmp_path / "t", 10)
    source.label_path.write_text(source.label_path.read_text().replace("text 4", "text 4 has\na line break"))
    with pytest.raises(DataError, match=r"found 11 lines for 10 images, .* line 5 \(a line break\)"):
        ingest_folder(store, catalog, "tweets", source, shard_size=2)
    with catalog.session() as session:
        assert get_dataset(session, "tweets") is None
    assert [*store.list("")] == []


def test_second_run_does_nothing(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    source = make_twitter100k(tmp_path / "t", 3)
    ingest_folder(store, catalog, "tweets", source)
    assert ingest_folder(store, catalog, "tweets", source) == IngestReport()
    with catalog.session() as session:
        assert len([*session.scalars(select(LandingObject))]) == 1


def test_a_name_stands_for_one_source(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    ingest_folder(store, catalog, "tweets", make_twitter100k(tmp_path / "a", 3))
    with pytest.raises(DataError, match="choose another name"):
        ingest_folder(store, catalog, "tweets", make_twitter100k(tmp_path / "b", 4))
    labels = make_itr(tmp_path / "itr", [("1", "00")])
    with pytest.raises(DataError, match="found the layout twitter100k"):
        ingest_folder(store, catalog, "tweets", ItrFolder(labels, tmp_path / "itr/images"))
    assert ingest_folder(store, catalog, "more", make_twitter100k(tmp_path / "c", 4)).pairs == 4


@pytest.mark.parametrize(
    "name",
    [
        "landing", "", " ", "x" * 129, "a\nb", "a\0b", "a/../../x", "../x", "/tmp/x", "a/b", "a\\b", ".", "..", ".x", "x.", "x ",
        " x", "NUL", "nul.csv", "ü" * 101,
    ],
)  # fmt: skip
def test_names_that_cannot_be(store: ObjectStore, catalog: Catalog, tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUseError, match="expected a name"):
        ingest_folder(store, catalog, name, make_twitter100k(tmp_path / "a", 1))


@pytest.mark.parametrize("name", ["tweets", "ITR 2023", "größe_1.2", "a+b (c)", "null", "x" * 128])
def test_names_that_can_be(store: ObjectStore, catalog: Catalog, tmp_path: Path, name: str) -> None:
    assert ingest_folder(store, catalog, name, make_twitter100k(tmp_path / "a", 1)).pairs == 1


def test_a_data_set_of_an_earlier_version_keeps_its_name(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    source = make_twitter100k(tmp_path / "a", 1)
    ingest_folder(store, catalog, "day", source)
    with catalog.session() as session:
        session.execute(update(Dataset).values(name="2023/day"))
    assert ingest_folder(store, catalog, "2023/day", source) == IngestReport()
    assert name_file("day") == "day"
    assert re.fullmatch("data-[0-9a-f]{16}", name_file("2023/day"))


def read_annotations(store: ObjectStore, catalog: Catalog, name: str) -> Annotations:
    with catalog.session() as session:
        dataset = get_dataset(session, name)
        assert dataset is not None
        assert dataset.annotations_key is not None
        assert dataset.annotations_key.startswith("shards/annotations/")
        return Annotations.from_parquet(store.get(dataset.annotations_key))


def test_itr_annotations_are_those_of_the_stored_pairs(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    rows = [
        ("10", "00"),
        ("11", "01"),
        ("6.9E+17", "10"),
        ("13", "11"),
        ("10", "00"),
        ("15", "10"),
        ("16", "01"),
    ]
    labels = make_itr(tmp_path / "itr", rows, without=("11",))
    (tmp_path / "itr/images/T10.jpg").write_bytes(draw(0))
    corrections = tmp_path / "itr/controversial_samples.txt"
    corrections.write_text("10->01: 5\n01->11: 1\n")
    source = ItrFolder(labels, tmp_path / "itr/images", corrections)
    report = ingest_folder(store, catalog, "itr", source, shard_size=2)
    assert report == IngestReport(7, 4, 1, 2, 2, {"id_invalid": 1, "image_missing": 1})
    annotations = read_annotations(store, catalog, "itr")
    with catalog.session() as session:
        stored = [
            i
            for s in list_shards(session, "itr")
            for i in read_shard(store.get(s.key), ["id"]).column("id").to_pylist()
        ]
    assert annotations.ids.tolist() == stored == ["10", "13", "15", "16"]
    assert annotations.split.tolist() == ["train", "train", "test", "test"]
    assert annotations.text.tolist() == [0, 1, 1, 0]
    assert annotations.image.tolist() == [0, 1, 0, 1]
    assert annotations.controversial.tolist() == [False, False, True, False]
    assert annotations.corrected_text.tolist() == [0, 1, 0, 0]
    assert annotations.corrected_image.tolist() == [0, 1, 1, 1]


def test_ltec_annotations_are_those_of_the_stored_pairs(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    """Row 2 has no picture, row 3 names another tweet, row 5 is row 1 again, row 6 has a second relation."""
    ids, relations = ["458277665150357506", "2", "3", "4", "458277665150357506", "4"], "012330"
    rows = [
        {"file_name": f"{id_}.jpg", "relation": relation, "tweet_id": str(float(id_)), "text": f"teksts {id_}"}
        for id_, relation in zip(ids, relations, strict=True)
    ]
    rows[2]["tweet_id"] = "33"
    rows[4]["relation"] = "0"
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    (tmp_path / f"first/{ids[0]}.jpg").write_bytes(draw(1))
    (tmp_path / "second/4.jpg").write_bytes(draw(4))
    labels = tmp_path / "ltec-image-text-relation.json"
    labels.write_text(json.dumps(rows))
    report = ingest_folder(store, catalog, "ltec", LtecFolder(labels, tmp_path))
    assert report == IngestReport(6, 2, 1, 3, 1, {"id_conflict": 1, "id_invalid": 1, "image_missing": 1})
    annotations = read_annotations(store, catalog, "ltec")
    assert annotations.ids.tolist() == [ids[0], "4"]
    assert (annotations.text.tolist(), annotations.image.tolist()) == ([1, 0], [1, 0])
    assert set(annotations.split.tolist()) <= {"train", "test"}


def test_tables(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    """A file and the same as a frame are one source; another text column is another."""
    make_twitter100k(tmp_path, 3)
    columns = {"id": ["1", "2", "3", "1"], "text": list("abca"), "image": [f"images/{n}.jpg" for n in (1, 2, 9, 1)]}
    frame = pd.DataFrame(columns | {"other": list("wxyz"), "image_adds": ["1", "0", "1", "1"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    report = ingest_folder(store, catalog, "table", TableSource(tmp_path / "t.csv"))
    assert report == IngestReport(4, 2, 1, 1, 1, {"image_missing": 1})
    annotations = read_annotations(store, catalog, "table")
    assert (annotations.ids.tolist(), annotations.image.tolist(), annotations.text.tolist()) == (
        ["1", "2"],
        [1, 0],
        [-1, -1],
    )
    assert ingest_folder(store, catalog, "table", TableSource(frame, folder=tmp_path)) == IngestReport()
    with pytest.raises(DataError, match="choose another name"):
        ingest_folder(store, catalog, "table", TableSource(tmp_path / "t.csv", text="other"))
    with catalog.session() as session:
        (row,) = session.scalars(select(QuarantinedTweet))
        assert (row.line, row.tweet_id, row.image_key) == (3, "3", str(tmp_path / "images/9.jpg"))


def test_another_controversial_list_is_another_source(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    labels = make_itr(tmp_path / "itr", [("1", "00"), ("2", "01")])
    ingest_folder(store, catalog, "itr", ItrFolder(labels, tmp_path / "itr/images"))
    corrections = tmp_path / "c.txt"
    corrections.write_text("01->00: 1\n")
    with pytest.raises(DataError, match="choose another name"):
        ingest_folder(store, catalog, "itr", ItrFolder(labels, tmp_path / "itr/images", corrections))


def test_replay_leaves_folders_alone(store: ObjectStore, catalog: Catalog, tmp_path: Path) -> None:
    source = make_twitter100k(tmp_path / "t", 2)
    (tmp_path / "t/images/1.jpg").unlink()
    ingest_folder(store, catalog, "tweets", source)
    assert replay_quarantine(store, catalog) == IngestReport()
    assert ingest_landing(store, catalog) == IngestReport()


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real tweets beside the checkout")
def test_real_twitter100k_all_lines(store: ObjectStore, catalog: Catalog) -> None:
    report = ingest_folder(store, catalog, "real", Twitter100kFolder(REAL), shard_size=500)
    assert report == IngestReport(lines=1500, pairs=1500, shards=3)
