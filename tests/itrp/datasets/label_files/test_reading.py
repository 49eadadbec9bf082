"""Human labels in files as people write them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from itrp.datasets.label_files import BadRow, HumanLabel, LabelFileReader
from itrp.errors import ColumnError, DataError
from itrp.labels import Task

BOTH = (Task.TEXT, Task.IMAGE)


def read(path: Path, text: str | bytes, **columns: str) -> list[tuple[object, ...]]:
    """(line, id, task, value) of the answers, (line, told) of bad rows."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = []
    for row in LabelFileReader(path, columns):
        found.append((row.line, row.told) if isinstance(row, BadRow) else (row.line, row.tweet_id, row.task, row.value))
    return found


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("1", "0"), ("1.0", "0,0"), ("yes", "No"), ("TRUE", "FALSE"), ("WAHR", "FALSCH"), ("represented", "not-represented"),
        ("text represented", "text not represented"), ("Not Represented", "Represented"),
    ],
)  # fmt: skip
def test_an_answer_may_be_written_in_many_ways(tmp_path: Path, yes: str, no: str) -> None:
    found = read(tmp_path / "a.tsv", f"tweet_id\tRepresented\n1294000000000000001\t{yes}\n1294000000000000002\t{no}\n")
    expected = (0, 1) if yes == "Not Represented" else (1, 0)
    assert [row[3] for row in found] == [*expected]
    assert found[0][:3] == (2, "1294000000000000001", Task.TEXT)


def test_one_column_of_relations_answers_both_questions(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "id,relation\na,01\nb,10\nc,1\n")
    assert found[:4] == [
        (2, "a", Task.TEXT, 0),
        (2, "a", Task.IMAGE, 1),
        (3, "b", Task.TEXT, 1),
        (3, "b", Task.IMAGE, 0),
    ]
    (bad,) = found[4:]
    assert bad[0] == 4
    assert "a spreadsheet drops a zero in front" in str(bad[1])


def test_a_spreadsheets_file_is_read(tmp_path: Path) -> None:
    """Semicolons, a byte order mark, a line that names the separator, ids kept as formulas, an old code page in the note."""
    rows = ['"=""1294000000000000001""";ja;x;random', "'1294000000000000002;1;na\xefve;browse"]
    text = "".join(f"{line}\r\n" for line in ["sep=;", "id;image_adds;note;queue", *rows])
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    first, second = LabelFileReader(path)
    assert first == BadRow(3, "image_adds: expected 1 or 0, yes or no, adds or does-not-add, or nothing, found 'ja'")
    assert second == HumanLabel(4, "1294000000000000002", Task.IMAGE, 1, queue="browse", note="naïve")


def test_bad_rows_do_not_stop_the_others(tmp_path: Path) -> None:
    rows = ["a,x,1,0", "b,x,perhaps,1", ",x,1,", "c,x,,", "d,x,?,-1", "1.29E+18,x,1,1", "e,x,1,1,9", "f,x,0,NA"]
    found = read(tmp_path / "a.csv", "\n".join(["id,text,text_is_represented,image_adds", *rows]))
    good = [row for row in found if len(row) == 4]
    bad = {row[0]: str(row[1]) for row in found if len(row) == 2}
    assert good == [
        (2, "a", Task.TEXT, 1), (2, "a", Task.IMAGE, 0), (3, "b", Task.IMAGE, 1), (6, "d", Task.TEXT, None),
        (9, "f", Task.TEXT, 0),
    ]  # fmt: skip
    assert bad[3].startswith("text_is_represented: expected 1 or 0")
    assert bad[4] == "expected an id, found none"
    assert "a spreadsheet rounded the id" in bad[7]
    assert bad[8] == "expected 4 fields, found 5: put quotes around the longer one"
    assert [*bad] == [3, 4, 7, 8]


def test_quotes_are_read_in_the_way_that_fits_most_rows(tmp_path: Path) -> None:
    """A writer of tabs without quotes, whose texts hold some."""
    rows = "".join(f'{number}\t"so {"he said" if number % 2 else ""}\t1\n' for number in range(20))
    found = read(tmp_path / "a.tsv", f"id\ttext\timage_adds\n{rows}")
    assert [row[1] for row in found] == [str(number) for number in range(20)]


def test_json_lines_an_array_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = [{"id": 7, "text_is_represented": True, "image_adds": None}, {"id": "8", "text_is_represented": "no"}]
    expected = [(1, "7", Task.TEXT, 1), (2, "8", Task.TEXT, 0)]
    assert read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))) == expected
    assert read(tmp_path / "a.json", "\ufeff" + json.dumps(rows, indent=1)) == [
        (2, *expected[0][1:]),
        (7, *expected[1][1:]),
    ]
    frame = pd.DataFrame({"tweet_id": [7, 8], "text_is_represented": [1.0, 0.0], "image_adds": [None, float("nan")]})
    frame.to_parquet(tmp_path / "a.parquet")
    found = [(row.line, row.tweet_id, row.task, row.value) for row in LabelFileReader(tmp_path / "a.parquet")]
    assert found == expected


def test_a_damaged_line_of_json_is_told(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.jsonl", '{"id": "a", "image_adds": 1}\n{"id": \n[1]\n{"id": "b", "image_adds": 0}\n{"x": 1}\n'
    )
    assert [row[:2] for row in found if len(row) == 4] == [(1, "a"), (4, "b")]
    assert [row[0] for row in found if len(row) == 2] == [2, 3, 5]


def test_columns_may_be_named(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "nr,q1\n5,1\n", id="nr", image_adds="q1") == [(2, "5", Task.IMAGE, 1)]
    with pytest.raises(ColumnError, match="say which with --column id=NAME"):
        read(tmp_path / "a.csv", "nr,image_adds\n5,1\n")
    with pytest.raises(ColumnError, match="for example, --column image_adds=NAME"):
        read(tmp_path / "a.csv", "id,q1\n5,1\n")
    with pytest.raises(ColumnError, match="before the =, found 'picture'"):
        read(tmp_path / "a.csv", "id,q1\n5,1\n", picture="q1")


def test_a_models_labels_are_not_taken_for_peoples(tmp_path: Path) -> None:
    header = "id,text_is_represented,text_is_represented_probability"
    with pytest.raises(DataError, match="expected people's labels, found a model's"):
        read(tmp_path / "a.csv", f"{header}\n5,1,0.9\n")
    assert read(tmp_path / "a.csv", f"{header},human_text_is_represented\n5,1,0.9,0\n") == [(2, "5", Task.TEXT, 0)]


@pytest.mark.parametrize(("start", "told"), [(b"PK\x03\x04", "a spreadsheet or zip file"), (b"", "an empty file")])
def test_other_files_are_refused(tmp_path: Path, start: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tmp_path / "a.xlsx", start)
