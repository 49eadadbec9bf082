"""ITR's label files, both published forms.

Today's (`textimage.csv`): tweet_id, the two labels, four one-hot columns of the relation. In 32 rows a
fragment of the tweet's text, commas and quotes included, stands between id and labels, and 2 rows have lost a
zero. The former (`textimage-data.csv`): tweet_id, user_id, tweet and the same labels, quoted, with backslash
escapes.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from itrp.datasets.lines import iter_lines
from itrp.errors import DataError
from itrp.labels import RELATIONS, relation_code

LABEL_COLUMNS = (
    "text_is_represented",
    "image_adds",
    "image_adds_text_repr",
    "image_adds_text_notrepr",
    "image_notadds_text_repr",
    "image_notadds_text_notrepr",
)
PUBLISHED_ROWS = 4471
PUBLISHED_TRAIN_ROWS = 3576
"""Sun et al. 2023 train on the first 3,576 of the file's 4,471 rows (four fifths) and test on the rest."""

_ONE_HOT = {
    "11": ("1", "0", "0", "0"),
    "01": ("0", "1", "0", "0"),
    "10": ("0", "0", "1", "0"),
    "00": ("0", "0", "0", "1"),
}


class _Damage(Enum):
    NONE = 0
    TEXT_BETWEEN = 1
    ZERO_LOST = 2


@dataclass(frozen=True)
class ItrLabels:
    """The n rows of a label file, in file order.

    ids, texts: n strings; a text is None when the file has none for the row. text, image: [n] int64, 0 or 1.
    repaired: 0-based numbers of the rows whose labels did not stand in their columns.
    completed: 0-based numbers of the rows whose one-hot columns had lost a zero.
    """

    ids: tuple[str, ...]
    texts: tuple[str | None, ...]
    text: NDArray[np.int64]
    image: NDArray[np.int64]
    repaired: tuple[int, ...]
    completed: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_texts(self) -> bool:
        """Whether any row has a text."""
        return any(text is not None for text in self.texts)

    @property
    def split(self) -> NDArray[np.str_]:
        """[n] "train" or "test", by file order."""
        train = PUBLISHED_TRAIN_ROWS if len(self) == PUBLISHED_ROWS else len(self) * 4 // 5
        return np.where(np.arange(len(self)) < train, "train", "test")

    def counts(self, split: str) -> dict[str, int]:
        """Relation code -> number of rows of a split."""
        rows = np.flatnonzero(self.split == split)
        counted = Counter(relation_code(self.text[row], self.image[row]) for row in rows)
        return {code: counted[code] for code in RELATIONS}

    def with_texts(self, texts: dict[str, str]) -> "ItrLabels":
        """The same rows with the texts of a texts file; a row it does not name keeps what it has."""
        return replace(self, texts=tuple(texts.get(id_, old) for id_, old in zip(self.ids, self.texts, strict=True)))


def read_itr_labels(path: Path) -> ItrLabels:
    """Read either form, repair damaged rows, and verify every row's labels against its one-hot columns.

    Raises DataError naming the row that can be neither read nor repaired, or when it is no label file.
    """
    rows = _read_rows(path, quoted=_is_quoted_form(path))
    header = next(rows, [])
    places = _find_columns(header, path)
    ids, texts, codes, damages = [], [], [], []
    for number, row in enumerate(rows):
        code, damage = _find_labels(row, places[LABEL_COLUMNS[0]], path, number)
        ids.append(row[places["tweet_id"]].strip())
        texts.append(row[places["tweet"]] if "tweet" in places else None)
        codes.append(code)
        damages.append(damage)
    return ItrLabels(
        ids=tuple(ids),
        texts=tuple(texts),
        text=np.array([int(code[0]) for code in codes], dtype=np.int64),
        image=np.array([int(code[1]) for code in codes], dtype=np.int64),
        repaired=tuple(row for row, damage in enumerate(damages) if damage is _Damage.TEXT_BETWEEN),
        completed=tuple(row for row, damage in enumerate(damages) if damage is _Damage.ZERO_LOST),
    )


def read_texts(path: Path) -> dict[str, str]:
    """Texts by tweet id from a CSV (columns tweet_id or id, tweet or text) or a JSONL file of the same.

    Raises DataError when the file is missing or has no such columns.
    """
    rows = _read_json_rows(path) if path.suffix in (".jsonl", ".json") else _read_csv_rows(path)
    texts: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        tweet_id = row.get("tweet_id", row.get("id"))
        text = row.get("tweet", row.get("text"))
        if tweet_id is None or not isinstance(text, str):
            raise DataError(
                f"expected tweet_id (or id) and tweet (or text) in every row of {path}, "
                f"row {number} has {sorted(row)[:8]}"
            )
        texts[str(tweet_id)] = text
    return texts


def _is_quoted_form(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"user_id" in file.readline(4096)
    except OSError as error:
        raise DataError(f"expected a file at {path}, it cannot be opened: {error.strerror}") from error


def _read_rows(path: Path, *, quoted: bool) -> Iterator[list[str]]:
    """Rows that hold anything.

    Bytes that are not UTF-8 become lone surrogates: the text check refuses that one row.
    """
    dialect: dict[str, Any] = {"escapechar": "\\", "doublequote": False} if quoted else {}
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            for row in csv.reader(file, **dialect):
                if any(row):
                    yield row
        except csv.Error as error:
            raise DataError(f"expected a CSV file at {path}, it cannot be read: {error}") from error


def _find_columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Column name -> place; the six label columns must stand together in their order."""
    names = [name.strip() for name in header]
    places = {name: place for place, name in enumerate(names) if name}
    first = places.get(LABEL_COLUMNS[0], -1)
    if "tweet_id" not in places or tuple(names[first : first + 6]) != LABEL_COLUMNS:
        raise DataError(
            f"expected an ITR label file with the columns tweet_id, {', '.join(LABEL_COLUMNS)}; "
            f"found in {path}: "
            f"{', '.join(names)[:300] or 'no header'}"
        )
    return places


def _find_labels(row: Sequence[str], place: int, path: Path, number: int) -> tuple[str, _Damage]:
    """The row's relation code, and in what way the row was damaged.

    Where text stands between id and labels, the labels are the last six fields that hold anything: the
    fragment pushed them right. Where only five fields are left, one zero was lost: there is one place to put
    it back.
    """
    fields = [field.strip() for field in row]
    while fields and not fields[-1]:
        fields.pop()
    start = len(fields) - 6
    if start >= place and (code := _check_labels(fields[start:])):
        return code, _Damage.NONE if start == place else _Damage.TEXT_BETWEEN
    five = fields[place:]
    if len(five) == 5:
        codes = {_check_labels([*five[:gap], "0", *five[gap:]]) for gap in range(6)} - {None}
        if len(codes) == 1:
            return str(codes.pop()), _Damage.ZERO_LOST
    raise DataError(
        f"expected labels that agree with the one-hot columns, found in row {number} (0-based) of "
        f"{path}: {','.join(fields[-6:])[:100]}. Fetch the file again, or correct the row"
    )


def _check_labels(fields: Sequence[str]) -> str | None:
    """The relation code of six label fields, None when labels and one-hot columns disagree."""
    code = "".join(fields[:2])
    return code if _ONE_HOT.get(code) == tuple(fields[2:]) else None


def _read_csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    rows = _read_rows(path, quoted=_is_quoted_form(path))
    names = [name.strip() for name in next(rows, [])]
    for row in rows:
        yield dict(zip(names, row, strict=False))


def _read_json_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in iter_lines(file):
                if line is None or line.strip():
                    yield _parse_row(line, path, number)
    except OSError as error:
        raise DataError(f"expected a texts file at {path}, it cannot be opened: {error.strerror}") from error


def _parse_row(line: bytes | None, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line or b"")
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected a JSON object in line {number} of {path}, it cannot be read: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"expected a JSON object in line {number} of {path}, found a {type(row).__name__}")
    return row
