"""Tables as people's programs write them: read exactly, or refused; never cut."""

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from itrp.datasets.delimited import TextTable
from itrp.errors import AmbiguousTableError, DataError

NAMES = ["id", "in_reply_to_user_id", "text", "lang"]
NASTY = [
    "plain words",
    'she said "yes, of course", and left',
    "two\nlines, and a comma",
    "a path C:\\new\\table and \\n that is no line break",
    '"quoted from start to end"',
    'the sign reads ""open"", twice',
    "ends with a backslash \\",
    "tab\there; semicolon | bar",
    "¯\\_(ツ)_/¯ ŧ 🐦",
    "NA",
    "",
    "  spaces around  ",
    "doubled \\\\ backslash",
    'backslash and quote \\" both',
    "carriage\r\nreturn",
    "'single' `ticks`",
]


def frame(texts: Sequence[str]) -> pd.DataFrame:
    rows = [(str(738098541445386241 + n), "", text, "en") for n, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=NAMES, dtype=str)


def write_r(table: pd.DataFrame, path: Path) -> None:
    """R's write.table: quotes after a backslash, backslashes as they are."""
    lines = [",".join(f'"{name}"' for name in table.columns)]
    lines += [",".join('"' + value.replace('"', '\\"') + '"' for value in row) for row in table.to_numpy()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def write_mysql(table: pd.DataFrame, path: Path) -> None:
    """SELECT ... INTO OUTFILE with a header: tabs, no quotes, backslash before tab, line break and backslash."""

    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\t", "\\\t").replace("\n", "\\\n")

    rows = [table.columns, *table.to_numpy()]
    path.write_text("".join("\t".join(map(escape, row)) + "\n" for row in rows), encoding="utf-8", newline="")


def write_joined(table: pd.DataFrame, path: Path) -> None:
    """As many scripts do: tabs, and nothing quoted or escaped."""
    path.write_text(
        "".join("\t".join(row) + "\n" for row in [table.columns, *table.to_numpy()]), encoding="utf-8", newline=""
    )


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "pandas": lambda table, path: table.to_csv(path, index=False),
    "pandas all quoted": lambda table, path: table.to_csv(path, index=False, quoting=csv.QUOTE_ALL),
    "pandas with numbers bare": lambda table, path: table.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC),
    "pandas escaped": lambda table, path: table.to_csv(path, index=False, escapechar="\\", doublequote=False),
    "pandas escaped and doubled": lambda table, path: table.to_csv(path, index=False, escapechar="\\"),
    "pandas unquoted": lambda table, path: table.to_csv(path, index=False, escapechar="\\", quoting=csv.QUOTE_NONE),
    "former ITR": lambda table, path: table.to_csv(
        path, index=False, escapechar="\\", doublequote=False, quoting=csv.QUOTE_ALL
    ),
    "with its index": lambda table, path: table.to_csv(path),
    "European spreadsheet": lambda table, path: table.to_csv(
        path, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n"
    ),
    "tabs": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    "tabs all quoted": lambda table, path: table.to_csv(path, index=False, sep="\t", quoting=csv.QUOTE_ALL),
    "UTF-16 with tabs": lambda table, path: table.to_csv(path, index=False, sep="\t", encoding="utf-16"),
    "UTF-16 without its mark": lambda table, path: table.to_csv(path, index=False, encoding="utf-16-le"),
    "R": write_r,
    "MySQL": write_mysql,
    "joined by tabs": write_joined,
}
KEEPS_LINE_ENDS = {name for name in WRITERS if name not in ("pandas unquoted", "MySQL", "joined by tabs")}
AMBIGUOUS = ("pandas escaped and doubled", "joined by tabs")
"""The one's doubled backslashes could also be two; the other's text in quotes could also be a quoted field."""


def choose(names: Sequence[str]) -> list[int]:
    if not {"id", "text"} <= {*names}:
        raise DataError(f"expected id and text, found {', '.join(names)}")
    return [names.index("id"), names.index("text")]


def read_texts(path: Path) -> list[str]:
    _, rows = TextTable(path).read(choose)
    return [text for _, text in rows]


def can_write(name: str, text: str) -> bool:
    """Whether the writer's own form can hold the text."""
    if name == "R":  # it does not tell a backslash before a quote from one that escapes it
        return '\\"' not in text and not text.endswith("\\") and "\\\\" not in text
    if name == "joined by tabs":
        return not {*"\t\r\n"} & {*text}
    return name in KEEPS_LINE_ENDS or "\r" not in text


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in AMBIGUOUS])
def test_what_programs_write_is_read_as_it_was(tmp_path: Path, name: str) -> None:
    texts = [text for text in NASTY if can_write(name, text)]
    WRITERS[name](frame(texts), tmp_path / "t.csv")
    assert read_texts(tmp_path / "t.csv") == texts


@pytest.mark.parametrize("name", WRITERS)
def test_any_choice_of_texts_is_read_as_it_was_or_refused(tmp_path: Path, name: str) -> None:
    dice = random.Random(name)
    read = 0
    for _ in range(60):
        texts = [text for text in dice.sample(NASTY, dice.randrange(1, 7)) if can_write(name, text)] or ["words"]
        WRITERS[name](frame(texts), tmp_path / "t.csv")
        try:
            found = read_texts(tmp_path / "t.csv")
        except DataError:
            continue
        assert found == texts
        read += 1
    assert read >= 15


def test_what_two_ways_fit_is_refused_and_the_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\n1,plain\n2,a \\\\ b\n")
    with pytest.raises(AmbiguousTableError, match=r"row 2 has in the column text 'a .{4} b' .* or 'a .{2} b' "):
        read_texts(path)
    path.write_text("id,text\n1,plain\n2,a \\\\ b\n3,\\o/\n")  # a writer that escapes leaves no backslash alone
    assert read_texts(path) == ["plain", "a \\\\ b", "\\o/"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,text\n1,two\nlines\n2,words\n", r"found 1 fields for 2 columns in row 2 \(line 3\)"),
        ("id,text\n1,words\n2,a, b\n", r"found 3 fields for 2 columns in row 2 \(line 3\)"),
        ('id,text\n1,"open\n2,words\n', "line 3 cannot be read: unexpected end of data"),
        ('id,text\n1,"a" b\n', "line 2 cannot be read"),
        ("", "expected id and text, found"),
        ("name;id;words\n1;2;3\n", "found name, id, words"),
    ],
)
def test_what_no_way_fits_is_refused_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=told):
        read_texts(tmp_path / "t.csv")


def test_line_ends_of_old_programs_and_empty_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"id,text,\r1,one,\r\r,,\r2,two,\r")
    assert read_texts(tmp_path / "t.csv") == ["one", "two"]


def test_the_separator_line_of_spreadsheets_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfsep=;\r\nid;text\r\n1;"a;b"\r\n')
    assert read_texts(tmp_path / "t.csv") == ["a;b"]
    (tmp_path / "t.csv").write_bytes(b"sep=;\r\nid;text\r\n1;a;b\r\n")
    with pytest.raises(DataError, match=r"in row 1 \(line 3\)"):
        read_texts(tmp_path / "t.csv")


def test_bytes_that_are_not_utf8_stay_in_their_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,text\n1,caf\xe9\n".encode("cp1252") + "2,café\n".encode())
    assert read_texts(tmp_path / "t.csv") == ["caf\udce9", "café"]


def test_a_quote_that_swallows_rows_between_tabs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id\ttext\n1\t"open\n2\tclosed"\n')
    with pytest.raises(AmbiguousTableError, match="found two: row 1 has in the column text"):
        read_texts(tmp_path / "t.csv")
