"""The relabelling list of Sun et al. 2023: `controversial_samples.txt`, lines like `01->11: 3997, 4067`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itrp.annotations import Annotations
from itrp.datasets.itr_labels import ItrLabels
from itrp.errors import DataError
from itrp.labels import relation_code

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

    @property
    def changes(self) -> str:
        """ "text", "image", "both" or "none": which labels differ."""
        text, image = (old != new for old, new in zip(self.before, self.after, strict=True))
        return "both" if text and image else "text" if text else "image" if image else "none"


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


def count_changes(corrections: Iterable[Correction]) -> dict[str, int]:
    """How many corrections change the text label only, the image label only, and both."""
    changes = [correction.changes for correction in corrections]
    return {kind: changes.count(kind) for kind in ("text", "image", "both")}


def apply_corrections(labels: ItrLabels, corrections: Sequence[Correction]) -> Annotations:
    """Annotations of all n rows, the corrected labels beside the raw ones.

    Raises DataError naming the lowest row whose label in the file is not the correction's `before`.
    """
    corrected_text, corrected_image = labels.text.copy(), labels.image.copy()
    controversial = np.zeros(len(labels), dtype=bool)
    for correction in sorted(corrections, key=lambda item: item.row):
        _check_before(labels, correction)
        controversial[correction.row] = True
        corrected_text[correction.row], corrected_image[correction.row] = map(int, correction.after)
    ids = np.array(labels.ids, dtype=np.str_)
    return Annotations(ids, labels.split, labels.text, labels.image, controversial, corrected_text, corrected_image)


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
            "the list of controversial samples belongs to another label file"
        )
