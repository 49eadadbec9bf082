"""ITR's files as people write them again, and the list by row numbers on other files than its own."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from itrp.data.pairs import Rejection
from itrp.datasets.itr import ItrFolder
from itrp.datasets.itr_corrections import apply_corrections, read_controversial
from itrp.datasets.itr_labels import LABEL_COLUMNS, read_itr_labels
from itrp.datasets.itr_texts import read_itr_texts
from itrp.errors import AmbiguousTableError, DataError
from tests.itrp.datasets.itr_files import ONE_HOT, codes, labels, write_list, write_published, write_quoted

TRICKY = [
    "plain words",
    'she said "yes, of course", and then they all left, in the rain',
    'the sign reads ""open"" , twice',
    "first line\nsecond line, with a comma",
    "a path C:\\new\\table and a \\n that is no line break",
    '"quoted from start to end"',
]


def write_again(path: Path, texts: list[str], zero: str = "0", one: str = "1", **how: Any) -> Path:
    """The former form as pandas writes it again."""
    rows = [
        [
            str(738098541445386241 + n),
            "77",
            text,
            *({"0": zero, "1": one}[label] for label in labels(list(ONE_HOT)[n % 4]).split(",")),
        ]
        for n, text in enumerate(texts)
    ]
    columns = ["tweet_id", "user_id", "tweet", *LABEL_COLUMNS]
    pd.DataFrame(rows, columns=columns, dtype=str).to_csv(path, index=False, **how)
    return path


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"quoting": csv.QUOTE_ALL},
        {"sep": ";", "encoding": "utf-8-sig", "lineterminator": "\r\n"},
        {"sep": "\t", "encoding": "utf-16"},
        {"quoting": csv.QUOTE_ALL, "escapechar": "\\", "doublequote": False},
        {"escapechar": "\\", "doublequote": False},
        {"zero": "0.0", "one": "1.0"},
    ],
    ids=["pandas", "all quoted", "European spreadsheet", "Unicode text", "former", "escaped", "floats"],
)
def test_the_former_form_written_again_keeps_its_texts(tmp_path: Path, how: dict[str, Any]) -> None:
    path = write_again(tmp_path / "labels.csv", TRICKY, **how)
    read = read_itr_labels(path)
    assert list(read.texts) == TRICKY
    assert codes(path) == ["11", "01", "10", "00", "11", "01"]
    assert (read.repaired, read.completed) == ((), ())


def test_the_former_form_decides_what_its_backslashes_mean(tmp_path: Path) -> None:
    texts = ["plain", "a \\ backslash"]
    path = write_again(tmp_path / "a.csv", texts, quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False)
    assert list(read_itr_labels(path).texts) == texts
    bare = write_again(tmp_path / "b.csv", texts, escapechar="\\", doublequote=False)
    with pytest.raises(AmbiguousTableError, match="row 2 has in the column tweet"):
        read_itr_labels(bare)
    (tmp_path / "images").mkdir()
    given = write_list(tmp_path / "t.jsonl", json.dumps({"id": "738098541445386242", "text": "given"}) + "\n")
    assert [c.text for c in ItrFolder(bare, tmp_path, texts=given).candidates()] == [None, "given"]


def test_a_text_that_was_cut_is_refused_not_repaired(tmp_path: Path) -> None:
    path = write_again(tmp_path / "labels.csv", ["one", "two"])
    path.write_text(path.read_text().replace("two", "two, and more"))
    with pytest.raises(DataError, match=r"found 10 fields for 9 columns in row 2 \(line 3\)"):
        read_itr_labels(path)
    path.write_text(path.read_text().replace("two, and more,0,1", "two,1,1"))
    with pytest.raises(DataError, match=r"labels that disagree with the one-hot columns \(1,1,0,1,0,0\) in row 2"):
        read_itr_labels(path)


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    path = write_published(tmp_path / "t.csv", f"1,{labels('00')},,,", "2,1.0,0.5,0,0,1,0,,,")
    with pytest.raises(DataError, match=r"labels are 0 or 1 \(1\.0 counts as 1\)"):
        read_itr_labels(path)


def test_texts_of_a_hydrated_file_keep_their_quotes_and_backslashes(tmp_path: Path) -> None:
    texts = ['he said "wait, what?", then left', "first line\\nsecond line", "plain"]
    frame = pd.DataFrame(
        {"id": list("123"), "in_reply_to_user_id": "", "created_at": "2016", "text": texts, "lang": "en"}
    )
    frame.to_csv(tmp_path / "hydrated.csv", index=False)
    assert read_itr_texts(tmp_path / "hydrated.csv") == dict(zip("123", texts, strict=True))


def test_a_duplicate_does_not_hide_a_second_label(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = write_quoted(
        tmp_path / "labels.csv", [("1", "a", "01"), ("2", "b", "11"), ("1", "a", "11"), ("2", "b", "11")]
    )
    rejected = [record for record in ItrFolder(path, tmp_path).candidates() if isinstance(record, Rejection)]
    assert [(record.line, record.code, record.id) for record in rejected] == [(3, "id_conflict", "1")]
    assert "text_is_represented a tweet, found 1 in row 3 after 0 in row 1" in rejected[0].reason


def test_texts_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [738098541445386241, 738098541445386242], "text": ["a \\\\ b", None]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_itr_texts(tmp_path / "t.parquet") == {"738098541445386241": "a \\\\ b"}


def test_texts_of_other_tweets_and_two_texts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = write_published(tmp_path / "t.csv", f"1,{labels('00')},,,")
    with pytest.raises(DataError, match=r"found in .* 2 others, such as 8"):
        ItrFolder(path, tmp_path, texts=write_list(tmp_path / "a.csv", "id,text\n8,a\n9,b\n"))
    with pytest.raises(DataError, match="row 2 has another one for the tweet 1"):
        read_itr_texts(write_list(tmp_path / "b.csv", "id,text\n1,a\n1,b\n"))


@pytest.mark.parametrize("write", [lambda n: f"{n / 10000:.0f}0000", lambda n: f"{n:.5E}"])
def test_rounded_ids_are_refused_for_the_file(tmp_path: Path, write: Callable[[int], str]) -> None:
    (tmp_path / "images").mkdir()
    ids = [write(1294030472427835393 + 977_000_000_000 * n) for n in range(9)]
    texts = write_list(tmp_path / "t.csv", "id,text\n" + "".join(f"{id_},t {n % 1}\n" for n, id_ in enumerate(ids)))
    with pytest.raises(DataError, match=r"t\.csv: expected the tweets' ids with all their digits, found 9 of 9"):
        read_itr_texts(texts)
    with pytest.raises(DataError, match=r"labels\.csv: .* export the ids again as text"):
        ItrFolder(write_quoted(tmp_path / "labels.csv", [(id_, "t", "00") for id_ in ids]), tmp_path)


def make_rows(*relations: str) -> list[tuple[str, str, str]]:
    return [(str(738098541445386240 + n), f"text {n}", code) for n, code in enumerate(relations)]


def test_a_list_for_a_file_with_one_row_more_is_refused(tmp_path: Path) -> None:
    """Rows 2, 5 and 8 are "01", and so are rows 2, 5 and 8 when row 1 was taken out."""
    (tmp_path / "images").mkdir()
    rows = make_rows("11", "00", "01", "01", "10", "01", "01", "00", "01", "01")
    corrections = write_list(tmp_path / "c.txt", "01->11: 2, 5, 8\n")
    whole = write_quoted(tmp_path / "whole.csv", rows)
    assert np.flatnonzero(ItrFolder(whole, tmp_path, corrections).annotations().controversial).tolist() == [2, 5, 8]
    fewer = write_quoted(tmp_path / "fewer.csv", [rows[0], *rows[2:]])
    with pytest.raises(DataError, match=r"found the relation 01 in row 8 .* belongs to another label file"):
        ItrFolder(fewer, tmp_path, corrections)
    write_list(tmp_path / "truth.csv", "tweet_id,x\n" + "".join(f"{id_},\n" for id_, _, _ in rows))
    with pytest.raises(
        DataError, match=r"expected the 10 tweets of .*truth\.csv .* found 9 rows that differ from row 1 "
    ):
        ItrFolder(fewer, tmp_path, corrections)
    assert ItrFolder(whole, tmp_path, corrections).annotations().controversial.sum() == 3
    write_list(tmp_path / "truth.csv", "tweet_id,x\n" + "".join(f"{id_},\n" for id_, _, _ in [rows[0], *rows[2:]]))
    assert ItrFolder(fewer, tmp_path, corrections).annotations().controversial.sum() == 3


@pytest.mark.parametrize("count", [4470, 4472])
def test_other_than_the_published_rows_are_refused_for_the_published_list(tmp_path: Path, count: int) -> None:
    corrections = read_controversial(write_list(tmp_path / "c.txt", "01->11: 4000, 4469\n"))
    path = write_published(tmp_path / "t.csv", *(f"{n},{labels('01')},,," for n in range(count)))
    with pytest.raises(DataError, match=rf"expected the 4,471 rows of the published label file, found {count:,}"):
        apply_corrections(read_itr_labels(path), corrections)
    path = write_published(tmp_path / "t.csv", *(f"{n},{labels('01')},,," for n in range(4471)))
    assert apply_corrections(read_itr_labels(path), corrections).controversial.sum() == 2
