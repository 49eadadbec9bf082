"""ITR's label files in both published forms, their repair, the split, and the relabelling list."""

import json
from pathlib import Path

import numpy as np
import pytest

from itrp.data.pairs import Rejection
from itrp.data.rejections import MissingImageError
from itrp.datasets.itr import ItrFolder
from itrp.datasets.itr_corrections import apply_corrections, read_controversial
from itrp.datasets.itr_labels import read_itr_labels
from itrp.datasets.itr_texts import read_itr_texts
from itrp.errors import DataError
from itrp.labels import Task
from tests.itrp.datasets.itr_files import (
    ONE_HOT,
    codes,
    count_changes,
    count_relations,
    labels,
    write_list,
    write_published,
    write_quoted,
)

REAL = Path(__file__).parents[3].parent / "shared/data/itr"
real = [
    pytest.mark.e2e,
    pytest.mark.real,
    pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout"),
]


def test_published_form(tmp_path: Path) -> None:
    path = write_published(tmp_path / "t.csv", *(f"{n},{labels(code)},,," for n, code in enumerate(ONE_HOT)))
    assert codes(path) == ["11", "01", "10", "00"]
    read = read_itr_labels(path)
    assert read.ids == ("0", "1", "2", "3")
    assert (read.repaired, read.completed, read.has_texts) == ((), (), False)


def test_damaged_rows_are_repaired(tmp_path: Path) -> None:
    path = write_published(
        tmp_path / "t.csv",
        f"1,{labels('00')},,,",
        f'2,"a fragment, with a comma\\""  and quotes""",{labels("11")},,',
        f'3,"1",0,"the fragment itself looks like labels",{labels("10")}',
        f'4,text,"more, ""text""",{labels("01")},',
        "5,0,0,0,0,1,,,,",
    )
    read = read_itr_labels(path)
    assert codes(path) == ["00", "11", "10", "01", "00"]
    assert read.repaired == (1, 2, 3)
    assert read.completed == (4,)


@pytest.mark.parametrize(
    "row",
    [
        "7,1,1,0,0,0,1,,,",
        "7,1,1,1,1,0,0,,,",
        "7,2,1,1,0,0,0,,,",
        "7,,,,,,,,,",
        "7,1,1,1,0,,,,,",
        "7,some text,1,0,0,0,,,,",
        "7,0,0,0,0,0,,,,",
    ],
)
def test_a_row_that_contradicts_itself_is_refused_by_its_number(tmp_path: Path, row: str) -> None:
    path = write_published(tmp_path / "t.csv", f"1,{labels('00')},,,", row)
    with pytest.raises(DataError, match=r"agree with the one-hot columns, found in row 1 \(0-based\)"):
        read_itr_labels(path)


def test_quoted_form(tmp_path: Path) -> None:
    texts = ['says "hello", twice', "two\nlines", "a \\ backslash", "plain", ""]
    path = write_quoted(tmp_path / "data.csv", [(str(n), text, "01") for n, text in enumerate(texts)])
    read = read_itr_labels(path)
    assert list(read.texts) == texts
    assert codes(path) == ["01"] * 5
    assert read.has_texts


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,label\n1,0\n")
    with pytest.raises(DataError, match=r"found in .*: id, label"):
        read_itr_labels(path)
    path.write_text("")
    with pytest.raises(DataError, match="no header"):
        read_itr_labels(path)
    with pytest.raises(DataError, match="cannot be opened"):
        read_itr_labels(tmp_path / "absent.csv")


@pytest.mark.parametrize(("rows", "train"), [(4471, 3576), (10, 8), (11, 8), (4, 3), (100, 80)])
def test_split_by_file_order(tmp_path: Path, rows: int, train: int) -> None:
    path = write_published(tmp_path / "t.csv", *(f"{n},{labels('10')},,," for n in range(rows)))
    split = read_itr_labels(path).split
    assert split.tolist() == ["train"] * train + ["test"] * (rows - train)


def test_counts(tmp_path: Path) -> None:
    path = write_published(
        tmp_path / "t.csv", *(f"{n},{labels(c)},,," for n, c in enumerate(["11", "11", "00", "01", "10"]))
    )
    read = read_itr_labels(path)
    assert count_relations(read, "train") == {"00": 1, "01": 1, "10": 0, "11": 2}
    assert count_relations(read, "test") == {"00": 0, "01": 0, "10": 1, "11": 0}


def test_corrections(tmp_path: Path) -> None:
    path = write_published(
        tmp_path / "t.csv", *(f"{n},{labels(c)},,," for n, c in enumerate(["11", "01", "00", "01", "10"]))
    )
    corrections = read_controversial(write_list(tmp_path / "c.txt", "01->11: 1, 3\n00->11: 2\n10->11: 4\n\n"))
    assert count_changes(corrections) == {"text": 2, "image": 1, "both": 1}
    annotations = apply_corrections(read_itr_labels(path), corrections)
    assert annotations.labels(Task.IMAGE_TEXT).tolist() == [3, 1, 0, 1, 2]
    assert annotations.labels(Task.IMAGE_TEXT, corrected=True).tolist() == [3, 3, 3, 3, 3]
    assert annotations.controversial.tolist() == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "01->11: 1\n11->00: 3, 2\n",
            r"expected the relation 11 in row 2 \(0-based\) of the labels, found 00",
        ),
        ("01->11: 9\n", "found only 5 rows"),
        ("01->11: 1, 1\n", "row 1 is named twice"),
        ("01-11: 1\n", r"found in line 1 of .*: '01-11: 1'"),
        ("01->21: 1\n", "found in line 1"),
        ("01->11: 1, x\n", "found in line 1"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write_published(
        tmp_path / "t.csv", *(f"{n},{labels(c)},,," for n, c in enumerate(["11", "01", "00", "01", "10"]))
    )
    with pytest.raises(DataError, match=words):
        apply_corrections(read_itr_labels(path), read_controversial(write_list(tmp_path / "c.txt", text)))


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/T12.jpg").write_bytes(b"picture")
    path = write_quoted(tmp_path / "labels.csv", [("12", "words", "01"), ("6.92094E+17", "words", "11")])
    source = ItrFolder(path, tmp_path / "images", write_list(tmp_path / "c.txt", "01->00: 0\n"))
    first, second = source.candidates()
    assert (first.line, first.id, first.text, first.image_key) == (1, "12", "words", "images/T12.jpg")
    assert (second.line, second.id) == (2, "6.92094E+17")
    assert source.read_image("images/T12.jpg") == b"picture"
    assert ItrFolder(path, tmp_path).read_image("images/T12.jpg") == b"picture"
    with pytest.raises(MissingImageError):
        source.read_image("images/T13.jpg")
    assert source.annotations().corrected_image.tolist() == [0, 1]


def test_published_form_needs_texts(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = write_published(tmp_path / "t.csv", f"1,{labels('00')},,,", f"2,{labels('11')},,,")
    with pytest.raises(DataError, match="has only ids and labels"):
        ItrFolder(path, tmp_path)
    texts = write_list(tmp_path / "texts.csv", 'tweet_id,tweet\n1,"one, ""quoted"""\n')
    assert [c.text for c in ItrFolder(path, tmp_path, texts=texts).candidates()] == ['one, "quoted"', None]


def test_texts_files(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in (1, 2))
    assert read_itr_texts(write_list(tmp_path / "t.jsonl", lines)) == {"1": "text 1", "2": "text 2"}
    assert read_itr_texts(write_list(tmp_path / "t.csv", "id,text\n3,three\n")) == {"3": "three"}
    assert read_itr_texts(write_quoted(tmp_path / "d.csv", [("4", 'a "b"', "00")])) == {"4": 'a "b"'}
    with pytest.raises(DataError, match="row 1 has"):
        read_itr_texts(write_list(tmp_path / "t.csv", "a,b\n3,three\n"))
    with pytest.raises(DataError, match="line 1 of"):
        read_itr_texts(write_list(tmp_path / "t.jsonl", "{\n"))


def test_missing_pictures_folder(tmp_path: Path) -> None:
    path = write_quoted(tmp_path / "labels.csv", [("12", "words", "01")])
    with pytest.raises(DataError, match="found no folder"):
        ItrFolder(path, tmp_path / "absent")


class TestReal:
    pytestmark = real

    def test_counts_and_repair(self) -> None:
        read = read_itr_labels(REAL / "textimage.csv")
        assert len(read) == 4471
        assert len(read.repaired) == 32
        assert count_relations(read, "train") == {"00": 1224, "01": 908, "10": 791, "11": 653}
        assert count_relations(read, "test") == {"00": 289, "01": 239, "10": 190, "11": 177}

    def test_former_form_gives_the_same(self, tmp_path: Path) -> None:
        read = read_itr_labels(REAL / "textimage.csv")
        rows = [
            (id_, 'a "text", \\ with\nall', f"{t}{i}")
            for id_, t, i in zip(read.ids, read.text, read.image, strict=True)
        ]
        former = read_itr_labels(write_quoted(tmp_path / "data.csv", rows))
        assert former.ids == read.ids
        assert np.array_equal(former.text, read.text)
        assert np.array_equal(former.image, read.image)
        assert former.repaired == ()
        assert count_relations(former, "test") == {"00": 289, "01": 239, "10": 190, "11": 177}

    def test_relabelling(self) -> None:
        corrections = read_controversial(REAL / "controversial_samples.txt")
        assert count_changes(corrections) == {"text": 124, "image": 61, "both": 33}
        annotations = apply_corrections(read_itr_labels(REAL / "textimage.csv"), corrections)
        assert annotations.controversial.sum() == 218
        assert (annotations.split[annotations.controversial] == "test").all()

    def test_relabelling_of_a_shifted_file_is_refused(self, tmp_path: Path) -> None:
        lines = (REAL / "textimage.csv").read_bytes().splitlines(keepends=True)
        path = tmp_path / "shifted.csv"
        path.write_bytes(b"".join([lines[0], *lines[2:]]))
        with pytest.raises(DataError, match="belongs to another label file"):
            apply_corrections(read_itr_labels(path), read_controversial(REAL / "controversial_samples.txt"))

    def test_relabelling_of_a_file_in_another_order_is_refused(self, tmp_path: Path) -> None:
        """Two neighbours of the same relation change places: all labels before the change still agree."""
        lines = (REAL / "textimage.csv").read_bytes().splitlines(keepends=True)
        path = tmp_path / "shuffled.csv"
        path.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
        with pytest.raises(DataError, match="rows in their published order"):
            apply_corrections(read_itr_labels(path), read_controversial(REAL / "controversial_samples.txt"))

    def test_rounded_ids_are_quarantined(self, tmp_path: Path) -> None:
        from itrp.data.validation import check_candidate

        read = read_itr_labels(REAL / "textimage.csv")
        texts = write_list(
            tmp_path / "t.jsonl", "".join(json.dumps({"id": id_, "text": "t"}) + "\n" for id_ in read.ids)
        )
        source = ItrFolder(REAL / "textimage.csv", tmp_path, texts=texts)
        outcomes = [check_candidate(c, source.read_image) for c in source.candidates()]
        rounded = [o for o in outcomes if isinstance(o, Rejection) and o.code == "id_invalid"]
        assert len(rounded) == 28
        assert all("a spreadsheet rounded the id" in o.reason for o in rounded)
