"""The relabelling list of Sun et al. 2023: `controversial_samples.txt`, lines like `01->11: 3997, 4067`.

The list names samples by their row in the published label file, so a row that was taken out or put in moves it to other
tweets. The labels before the change tell most of this, not all: where neighbours have the same relation, they agree.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itrp.data.annotations import Annotations
from itrp.datasets.itr_labels import PUBLISHED_ROWS, PUBLISHED_TRAIN_ROWS, ItrLabels
from itrp.errors import DataError
from itrp.labels import relation_code

TRUTH = "truth.csv"
"""Beside the list of a synthetic data set: it names the tweet of every row."""

_PUBLISHED_IDS = "746f343a020cf19ee66d6451fe35145c727706a522ee54f9bc1a765e3eb74761"
_PUBLISHED_ORDER = "f76ed3c22706cbf5e73dd9e5d8197754e5cd53ea4fca2c58cea6358951736f54"
"""SHA-256 of the published ids, sorted and in file order. Six digits of each count, as some were published so."""
_OTHER_FILE = "the list of controversial samples belongs to another label file"

_LINE = re.compile(r"([01]{2})\s*->\s*([01]{2})\s*:\s*(\d+(?:\s*,\s*\d+)*)\s*,?")


@dataclass(frozen=True, slots=True)
class Correction:
    """One relabelled sample."""

    row: int
    """0-based row of the label file, header not counted."""
    before: str
    """Relation code the label file gives."""
    after: str
    """Relation code it should be."""


def read_controversial(path: Path) -> tuple[Correction, ...]:
    """The corrections in file order.

    Raises DataError for a line of another form or a row named twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected the list of controversial samples at {path}, it cannot be read: {error}") from error
    corrections = [item for number, line in enumerate(lines, 1) if line.strip() for item in _parse(line, number, path)]
    seen: set[int] = set()
    for correction in corrections:
        if correction.row in seen:
            raise DataError(f"expected every row once in {path}, row {correction.row} is named twice")
        seen.add(correction.row)
    return tuple(corrections)


def apply_corrections(labels: ItrLabels, corrections: Sequence[Correction], *, vouched: bool = False) -> Annotations:
    """Annotations of all n rows, the corrected labels beside the raw ones.

    vouched: the rows are known to be those the list was made for (`check_truth`). Otherwise a list that names a row of
    the published test split needs the published 4,471 rows in their order, and that of another file needs a last sample
    whose relation is another than the row's before it: if a row had been taken out, it would not fit.
    Raises DataError naming the lowest row whose label in the file is not the correction's `before`, and when the rows
    may not be those that the list means.
    """
    corrected_text, corrected_image = labels.text.copy(), labels.image.copy()
    controversial = np.zeros(len(labels), dtype=bool)
    ordered = sorted(corrections, key=lambda item: item.row)
    for correction in ordered:
        _check_before(labels, correction)
        controversial[correction.row] = True
        corrected_text[correction.row], corrected_image[correction.row] = map(int, correction.after)
    if ordered and not vouched:
        _check_rows(labels, ordered[-1])
    ids = np.array(labels.ids, dtype=np.str_)
    return Annotations(ids, labels.split, labels.text, labels.image, controversial, corrected_text, corrected_image)


def check_truth(path: Path, labels: ItrLabels) -> bool:
    """Whether the truth file beside a list names the very tweets of the label file, row by row; False without one.

    Raises DataError naming the first row that differs.
    """
    try:
        with (path.parent / TRUTH).open(encoding="utf-8", newline="") as file:
            truth = [row.get("tweet_id") for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    if not truth or None in truth:
        return False
    if truth == [*labels.ids]:
        return True
    both = zip(truth, labels.ids, strict=False)
    row = next((row for row, (true, found) in enumerate(both) if true != found), min(len(truth), len(labels)))
    raise DataError(
        f"expected the {len(truth):,} tweets of {path.parent / TRUTH} in the labels, found {len(labels):,} rows that differ "
        f"from row {row} (0-based) on: {_OTHER_FILE}"
    )


def _parse(line: str, number: int, path: Path) -> list[Correction]:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise DataError(f"expected a line like '01->11: 3997, 4067', found in line {number} of {path}: {line[:80]!r}")
    before, after, rows = match.groups()
    return [Correction(int(row), before, after) for row in rows.split(",")]


def _check_before(labels: ItrLabels, correction: Correction) -> None:
    row = correction.row
    found = relation_code(labels.text[row], labels.image[row]) if row < len(labels) else f"only {len(labels)} rows"
    if found != correction.before:
        raise DataError(
            f"expected the relation {correction.before} in row {row} (0-based) of the labels, found {found}: "
            f"{_OTHER_FILE}"
        )


def _check_rows(labels: ItrLabels, last: Correction) -> None:
    """Whether the rows can be others than the list means, though all labels before the change agree."""
    if last.row >= PUBLISHED_TRAIN_ROWS:
        _check_published(labels)
    elif last.row and relation_code(labels.text[last.row - 1], labels.image[last.row - 1]) == last.before:
        raise DataError(
            f"expected rows that only one place of the list fits, found the relation {last.before} in row {last.row} "
            f"(0-based) and in the row before it: if one of the {len(labels):,} rows was added or taken out, {_OTHER_FILE}. "
            f"Give the label file the list was made for, and beside the list a {TRUTH} with the column tweet_id that names "
            "its tweets in their order"
        )


def _check_published(labels: ItrLabels) -> None:
    if len(labels) != PUBLISHED_ROWS:
        raise DataError(
            f"expected the {PUBLISHED_ROWS:,} rows of the published label file, found {len(labels):,}: {_OTHER_FILE}, because "
            f"it names samples by their row. Give the published file as it is, or for a list of your own a {TRUTH} beside it "
            "with the column tweet_id that names its tweets in their order"
        )
    shown = [_shorten_id(id_) for id_ in labels.ids]
    if _hash(sorted(shown)) == _PUBLISHED_IDS and _hash(shown) != _PUBLISHED_ORDER:
        raise DataError(
            f"expected the {PUBLISHED_ROWS:,} rows in their published order, found them in another: {_OTHER_FILE}, because it "
            "names samples by their row. Give the published file as it is"
        )


def _shorten_id(tweet_id: str) -> str:
    """Six digits and the exponent, as 28 of the ids were published."""
    try:
        return f"{float(tweet_id):.5E}"
    except ValueError:
        return tweet_id


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
