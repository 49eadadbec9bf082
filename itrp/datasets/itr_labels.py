"""ITR's label files, both published forms.

Today's (`textimage.csv`): tweet_id, the two labels, four one-hot columns of the relation. In 32 rows a
fragment of the tweet's text, commas and quotes included, stands between id and labels, and 2 rows have lost a
zero. The former (`textimage-data.csv`): tweet_id, user_id, tweet and the same labels, quoted, with backslash
escapes. People write both again with pandas, R and spreadsheets, and join texts to the one of today.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itrp.datasets.delimited import Dialect, Names, Row, TextTable
from itrp.errors import DataError

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

TEXT_COLUMNS = ("tweet", "text")
_FORMER = ("tweet_id", "user_id", "tweet", *LABEL_COLUMNS)
"""Header of the form that is documented to escape by backslashes."""
_WHOLE = re.compile(r"([01])[.,]0+")
"""A label that went through a float, as a join in pandas leaves it."""

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

    def with_texts(self, texts: dict[str, str]) -> "ItrLabels":
        """The same rows with the texts of a texts file; a row it does not name keeps what it has."""
        return replace(self, texts=tuple(texts.get(id_, old) for id_, old in zip(self.ids, self.texts, strict=True)))


def read_itr_labels(path: Path, *, texts: bool = True) -> ItrLabels:
    """Read either form, and verify every row's labels against its one-hot columns.

    A file without texts is repaired where fragments of text stand between id and labels. In a file with texts that would
    cut them: how it is written is decided by its content, and what is ambiguous is rejected. Without `texts` the file's
    texts are not wanted, whatever they are.
    Raises AmbiguousTableError naming the first text that could be read in two ways, and DataError naming the row that can
    be neither read nor repaired, or when it is no label file.
    """
    table = TextTable(path)
    delimiter, header = table.find_header(lambda names: [*_find_columns(names, path).values()])
    places = _find_columns(header, path)
    text = next((name for name in TEXT_COLUMNS if name in places), None)
    if text is None:
        rows = (row for _, row in table.rows(Dialect(delimiter, doubled=True, strict=False)))
        return _collect(rows, places["tweet_id"], None, places[LABEL_COLUMNS[0]], path)
    kept = ("tweet_id", *([text] if texts else []), *LABEL_COLUMNS)
    _, chosen = table.read(
        lambda names: [_find_columns(names, path)[name] for name in kept],
        lambda names, row: _find_fault(names, row, places[LABEL_COLUMNS[0]]),
        lambda names: tuple(names) == _FORMER,
    )
    return _collect(chosen, 0, 1, 2, path) if texts else _collect(chosen, 0, None, 1, path)


def _collect(rows: Iterable[Row], tweet_id: int, text: int | None, labels: int, path: Path) -> ItrLabels:
    """The labels of rows whose columns stand in these places."""
    ids, texts, codes, damages = [], [], [], []
    for number, row in enumerate(rows):
        code, damage = _find_labels(row, labels, path, number)
        ids.append(row[tweet_id].strip())
        texts.append(row[text] if text is not None else None)
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


def _find_fault(names: Names, row: Row, place: int) -> str | None:
    """What keeps a row of a file with texts from being read: other fields than the header's, or labels elsewhere."""
    missing = len(names) - len(row)
    if missing not in (0, 1):  # one less where a zero was lost
        return f"{len(row)} fields for {len(names)} columns"
    try:
        _find_labels(row[: place + 6], place, Path(), 0)
    except DataError:
        return f"labels that disagree with the one-hot columns ({','.join(row[place : place + 6])[:80]})"
    return None


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
    fields = [_read_whole(field.strip()) for field in row]
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
        f"{path}: {','.join(fields[-6:])[:100]}. Fetch the file again, or correct the row: labels are 0 or 1 (1.0 counts as 1)"
    )


def _read_whole(field: str) -> str:
    match = _WHOLE.fullmatch(field)
    return match[1] if match else field


def _check_labels(fields: Sequence[str]) -> str | None:
    """The relation code of six label fields, None when labels and one-hot columns disagree."""
    code = "".join(fields[:2])
    return code if _ONE_HOT.get(code) == tuple(fields[2:]) else None
