"""LTEC's label file, its rounded ids, its pictures in one folder or several, and the split we give it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import MissingImageError
from itrp.data.splits import assign_split
from itrp.datasets.ltec import LtecFolder, read_ltec_rows
from itrp.errors import DataError
from itrp.labels import Task
from tests.itrp.datasets.itr_files import count_relations

REAL = Path(__file__).parents[3].parent / "shared/data/ltec/ltec-image-text-relation.json"


def make_row(id_: str, relation: object = "0", **others: object) -> dict[str, object]:
    """A row as published: the tweet_id went through a float, and the digits a float does not need came out as zeros."""
    rounded = str(int(Decimal(repr(float(id_)))))
    return {"file_name": f"{id_}.jpg", "relation": relation, "tweet_id": rounded, "text": f"teksts {id_}"} | others


def write_rows(folder: Path, *rows: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def open_rows(folder: Path, *rows: Any) -> LtecFolder:
    return LtecFolder(write_rows(folder, *rows), folder)


def test_ids_come_from_the_file_names_and_labels_from_the_relation(tmp_path: Path) -> None:
    ids = ["458277665150357506", "458497614909280256", "520052839989907456", "535871626966237186"]
    source = open_rows(tmp_path, *(make_row(id_, str(relation)) for relation, id_ in enumerate(ids)))
    candidates = list(source.candidates())
    assert [type(each) for each in candidates] == [Candidate] * 4
    assert [(each.line, each.id, each.image_key) for each in candidates] == [
        (line, id_, f"{id_}.jpg") for line, id_ in enumerate(ids, start=1)
    ]
    annotations = source.annotations()
    assert annotations.ids.tolist() == ids
    # 0 = adds & represented, 1 = adds & not represented, 2 = does not add & represented, 3 = neither
    assert annotations.text.tolist() == [1, 0, 1, 0]
    assert annotations.image.tolist() == [1, 1, 0, 0]
    assert annotations.labels(Task.IMAGE_TEXT, corrected=True).tolist() == [3, 1, 2, 0]
    assert not annotations.controversial.any()
    assert count_relations(source.annotations()) == {"00": 1, "01": 1, "10": 1, "11": 1}


@pytest.mark.parametrize(
    "written", ["458277665150357500", "458277665150357506", 458277665150357506, 4.582776651503575e17]
)
def test_a_tweet_id_that_a_float_has_rounded_is_the_same_tweet(tmp_path: Path, written: object) -> None:
    (row,) = read_ltec_rows(write_rows(tmp_path, make_row("458277665150357506", tweet_id=written)))
    assert (row.id, row.rejection) == ("458277665150357506", None)


@pytest.mark.parametrize("written", ["458277665150357900", "12", "", None, True, "abc", [1]])
def test_a_tweet_id_of_another_tweet_is_refused(tmp_path: Path, written: object) -> None:
    """Floats near 4.6e17 are 64 apart: 394 away is another tweet."""
    source = open_rows(tmp_path, make_row("1"), make_row("458277665150357506", tweet_id=written))
    first, second = source.candidates()
    assert isinstance(first, Candidate)
    assert isinstance(second, Rejection)
    assert (second.line, second.code, second.id) == (2, "id_invalid", "458277665150357506")
    assert "to the precision of a float" in second.reason
    assert "row 1 (0-based) names two tweets" in second.reason
    assert source.annotations().text.tolist() == [1, -1]


@pytest.mark.parametrize("name", ["../1.jpg", "a.jpg", "1", "1.jpg.jpg", "", None, 7, "1" * 21 + ".jpg", "1/2.jpg"])
def test_a_file_name_that_is_no_tweets_is_refused(tmp_path: Path, name: object) -> None:
    (rejection,) = open_rows(tmp_path, make_row("1", file_name=name)).candidates()
    assert isinstance(rejection, Rejection)
    assert (rejection.code, rejection.image_key) == ("id_invalid", None)
    assert "expected the image's file name" in rejection.reason


def test_what_is_no_object_is_refused(tmp_path: Path) -> None:
    source = open_rows(tmp_path, make_row("1"), ["2.jpg", "0"], make_row("3"))
    kinds = [each.code if isinstance(each, Rejection) else each.id for each in source.candidates()]
    assert kinds == ["1", "record_not_json", "3"]
    assert source.annotations().ids.tolist() == ["1", "", "3"]


def test_a_row_without_text_is_left_to_the_text_check(tmp_path: Path) -> None:
    row = make_row("1")
    del row["text"]
    (candidate,) = open_rows(tmp_path, row).candidates()
    assert isinstance(candidate, Candidate)
    assert candidate.text is None


def test_two_relations_of_one_tweet_are_a_conflict(tmp_path: Path) -> None:
    source = open_rows(tmp_path, make_row("1", "0"), make_row("1", "0"), make_row("1", "3"), make_row("2", "3"))
    records = list(source.candidates())
    assert [isinstance(each, Candidate) for each in records] == [True, True, False, True]
    assert isinstance(records[2], Rejection)
    assert (records[2].code, records[2].id) == ("id_conflict", "1")
    assert "expected one relation a tweet, found 00 in row 2 (0-based) after 11" in records[2].reason
    assert count_relations(source.annotations()) == {"00": 1, "01": 0, "10": 0, "11": 2}


@pytest.mark.parametrize("relation", [4, "4", -1, "", None, True, 1.0, "00", "11"])
def test_relations_are_0_to_3(tmp_path: Path, relation: object) -> None:
    path = write_rows(tmp_path, make_row("1", 2), make_row("2", relation))
    with pytest.raises(DataError, match=r"expected a relation of 0 to 3 in row 1 \(0-based\) of .*correct the row"):
        read_ltec_rows(path)


@pytest.mark.parametrize(("row", "told"), [
    (make_row("1", lang="lv"), "found file_name, lang, relation"),
    ({"file_name": "1.jpg", "relation": "0"}, "found file_name, relation:"),
    ({}, "found none"),
])  # fmt: skip
def test_other_fields_are_another_file(tmp_path: Path, row: dict[str, object], told: str) -> None:
    with pytest.raises(DataError, match=rf"expected the fields .* in row 0 \(0-based\) .*{told}"):
        read_ltec_rows(write_rows(tmp_path, row))


@pytest.mark.parametrize(("content", "told"), [
    (b"[]", "found an empty list"), (b'{"a": 1}', "found a dict"), (b"[{", "it cannot be read"),
    (b'["\xff"]', "it cannot be read"),
])  # fmt: skip
def test_what_is_no_label_file(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_ltec_rows(path)
    with pytest.raises(DataError, match="it cannot be read"):
        read_ltec_rows(tmp_path / "nope.json")


def test_pictures_lie_in_the_folder_or_below_it(tmp_path: Path) -> None:
    labels = write_rows(tmp_path, *(make_row(str(number)) for number in range(1, 6)))
    for place in ("1.jpg", "images1/2.jpg", "images2/images2/3.jpg", "a/b/c/4.jpg", "images2/9.jpg"):
        (tmp_path / "pictures" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / place).write_bytes(place.encode())
    source = LtecFolder(labels, tmp_path / "pictures")
    assert [source.read_image(f"{n}.jpg") for n in (1, 2, 3)] == [
        b"1.jpg",
        b"images1/2.jpg",
        b"images2/images2/3.jpg",
    ]
    for missing in (
        "4.jpg",
        "5.jpg",
        "9.jpg",
        "../labels.json",
    ):  # too deep, nowhere, not a row's, not a picture's name
        with pytest.raises(MissingImageError):
            source.read_image(missing)


def test_two_pictures_of_one_name_must_be_one(tmp_path: Path) -> None:
    labels = write_rows(tmp_path, make_row("1"))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"same")
    assert LtecFolder(labels, tmp_path).read_image("1.jpg") == b"same"
    (tmp_path / "b/1.jpg").write_bytes(b"else")
    with pytest.raises(DataError, match=r"expected one image 1.jpg, found two that differ, .*a/1.jpg and .*b/1.jpg"):
        LtecFolder(labels, tmp_path)


def test_no_folder_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unpack the public set's zip files there"):
        LtecFolder(write_rows(tmp_path, make_row("1")), tmp_path / "nope")


def test_the_split_follows_from_the_id_alone(tmp_path: Path) -> None:
    # SHA-256 of "1" ends in ...4b (odd), of "2" in ...35 (odd), of "3" in ...ce (even): `printf 1 | sha256sum`
    assert [assign_split(id_) for id_ in ("1", "2", "3")] == ["test", "test", "train"]
    splits = [assign_split(str(10**18 + number)) for number in range(2000)]
    assert 900 < splits.count("train") < 1100
    source = open_rows(tmp_path, make_row("3", "3"), make_row("1", "2"))
    assert source.annotations().split.tolist() == ["train", "test"]
    assert count_relations(source.annotations(), "train") == {"00": 1, "01": 0, "10": 0, "11": 0}


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout")
def test_real_label_file(tmp_path: Path) -> None:
    """The published counts, and 805 of the 812 ids that could not have been taken from tweet_id."""
    source = LtecFolder(REAL, tmp_path)
    assert len(source.rows) == 812
    assert [row for row in source.rows if row.rejection] == []
    assert count_relations(source.annotations()) == {"11": 392, "01": 72, "10": 296, "00": 52}
    assert count_relations(source.annotations(), "train") == {"00": 31, "01": 37, "10": 155, "11": 205}
    assert count_relations(source.annotations(), "test") == {"00": 21, "01": 35, "10": 141, "11": 187}
    records = json.loads(REAL.read_text(encoding="utf-8"))
    assert sum(row.id != record["tweet_id"] for row, record in zip(source.rows, records, strict=True)) == 805
