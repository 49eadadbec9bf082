"""The image-text relations of the Latvian Twitter Eater Corpus (Rikters et al. 2024): label file and images.

812 Latvian tweets, MIT, hub id matiss/Latvian-Twitter-Eater-Corpus-Images; the public set's images come in two zip
files. `ltec-image-text-relation.json` is a list of {file_name, relation, tweet_id, text}.
"""

import filecmp
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import MissingImageError
from itrp.data.splits import assign_split
from itrp.datasets.folders import read_image
from itrp.errors import DataError
from itrp.labels import UNLABELLED

RELATION_CODES = ("11", "01", "10", "00")
"""The file's relation 0..3 as the code `TI`: adds and represented, adds only, represented only, neither."""

_FIELDS = frozenset(("file_name", "relation", "tweet_id", "text"))
_FILE_NAME = re.compile(r"(\d{1,20})\.[A-Za-z]{3,4}")
_DEPTH = 2
"""Folders below the given one that are searched: the two zip files may be unpacked into a folder each."""


@dataclass(frozen=True)
class LtecRow:
    """One row of the label file. `refusal`: (code, reason) where the row cannot become a pair."""

    id: str | None
    file_name: str | None
    text: object
    relation: str | None
    """The code `TI`; None in a rejected row."""
    rejection: tuple[str, str] | None = None


class LtecFolder:
    """The label file and a folder of its images: in it, or in its folders down to two levels.

    labels: `ltec-image-text-relation.json`. images: the folder the public set's zip files were unpacked to.
    Raises DataError when either is missing or is not what it should be, and when two different images have the name
    of one row.
    """

    layout = "ltec"

    def __init__(self, labels: Path, images: Path) -> None:
        self.label_path = labels
        """The file that lists the tweets."""
        self.rows: tuple[LtecRow, ...] = read_ltec_rows(labels)
        if not images.is_dir():
            raise DataError(
                f"expected the folder of LTEC's images (<tweet id>.jpg) at {images}, found no folder: unpack the public "
                "set's zip files there"
            )
        self.images = images
        self._image_paths = _find_images(images, {row.file_name for row in self.rows if row.file_name})

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The files whose content makes this source what it is."""
        return (self.label_path,)

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """One record a row of the label file; `line` counts its rows from 1."""
        source = str(self.label_path)
        for number, row in enumerate(self.rows, start=1):
            if row.rejection is not None:
                yield Rejection(source, number, *row.rejection, row.id, row.file_name)
            else:
                yield Candidate(source, number, row.id, row.text, row.file_name)

    def read_image(self, key: str) -> bytes:
        """The bytes of a row's image. Raises MissingImageError when there is no such file."""
        if key not in self._image_paths:
            raise MissingImageError(f"{self.images} and the folders in it: {key}")
        return read_image(self._image_paths[key])

    def annotations(self) -> Annotations:
        """Labels of all rows: row i belongs to the record with line i + 1. A rejected row has none.

        Nobody has corrected these labels, so the sets raw, RM and RL are the same.
        """
        ids = np.array([row.id or "" for row in self.rows], dtype=np.str_)
        text, image = (
            np.array([int(row.relation[digit]) if row.relation else UNLABELLED for row in self.rows], dtype=np.int64)
            for digit in (0, 1)
        )
        split = np.array([assign_split(id_) for id_ in ids], dtype=np.str_)
        return Annotations(ids, split, text, image, np.zeros(len(ids), dtype=bool), text, image)


def read_ltec_rows(path: Path) -> tuple[LtecRow, ...]:
    """The rows in file order; a damaged row is kept with the reason why it is rejected.

    Rejected: what is no JSON object, no usable file name, a tweet_id that is another number than the file name says
    (even to the precision of a float, through which the published ones have gone), and a tweet that an earlier row
    labels otherwise. Raises DataError when the file is no such list, and, because the labels of the whole file are then
    in doubt, for a row with other fields or with a relation that is not 0 to 3.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"expected LTEC's label file (a JSON list) at {path}, it cannot be read: {error}") from error
    if not isinstance(records, list) or not records:
        raise DataError(
            f"expected a JSON list of {{{', '.join(sorted(_FIELDS))}}} in {path}, found "
            f"{'an empty list' if records == [] else f'a {type(records).__name__}'}: give ltec-image-text-relation.json"
        )
    return tuple(_reject_contradictions([_read_row(record, row, path) for row, record in enumerate(records)]))


def _read_row(record: Any, number: int, path: Path) -> LtecRow:
    if not isinstance(record, dict):
        reason = f"expected an object with file_name, relation, tweet_id and text, found a {type(record).__name__}"
        return LtecRow(None, None, None, None, ("record_not_json", reason))
    if not (_FIELDS - {"text"} <= record.keys() <= _FIELDS):  # a missing text is the text check's business
        raise DataError(
            f"expected the fields {', '.join(sorted(_FIELDS))} in row {number} (0-based) of {path}, found "
            f"{', '.join(sorted(map(str, record)))[:200] or 'none'}: give ltec-image-text-relation.json"
        )
    relation = _read_relation(record["relation"], number, path)
    match = _FILE_NAME.fullmatch(record["file_name"]) if isinstance(record["file_name"], str) else None
    if match is None:
        reason = f"expected the image's file name, <tweet id>.jpg, found {str(record['file_name'])[:80]!r}"
        return LtecRow(None, None, record.get("text"), None, ("id_invalid", reason))
    row = LtecRow(match[1], match[0], record.get("text"), relation)
    if not _is_same_number(record["tweet_id"], match[1]):
        reason = (
            f"expected a tweet_id that is {match[1]} (the file name) to the precision of a float, "
            f"found {str(record['tweet_id'])[:40]!r}: row {number} (0-based) names two tweets"
        )
        return _reject(row, "id_invalid", reason)
    return row


def _read_relation(value: object, number: int, path: Path) -> str:
    written = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if written not in ("0", "1", "2", "3"):
        raise DataError(
            f"expected a relation of 0 to 3 in row {number} (0-based) of {path}, found {value!r}: "
            "fetch the file again, or correct the row"
        )
    return RELATION_CODES[int(written)]


def _is_same_number(rounded: object, exact: str) -> bool:
    """Whether the published tweet_id is the exact one, rounded to a float or not."""
    if isinstance(rounded, bool) or not isinstance(rounded, str | int | float):
        return False
    try:
        return float(rounded) == float(exact)
    except (ValueError, OverflowError):
        return False


def _reject_contradictions(rows: Sequence[LtecRow]) -> Iterator[LtecRow]:
    """The rows, those rejected that label an earlier row's tweet otherwise: a duplicate must not hide a second label."""
    known: dict[str, str] = {}
    for number, row in enumerate(rows):
        if row.id is None or row.relation is None or known.setdefault(row.id, row.relation) == row.relation:
            yield row
        else:
            reason = (
                f"expected one relation a tweet, found {row.relation} in row {number} (0-based) "
                f"after {known[row.id]} in an earlier one"
            )
            yield _reject(row, "id_conflict", reason)


def _reject(row: LtecRow, code: str, reason: str) -> LtecRow:
    return LtecRow(row.id, row.file_name, row.text, None, (code, reason))


def _find_images(folder: Path, wanted: set[str]) -> Mapping[str, Path]:
    """File name -> path of the wanted images in a folder and in those below it."""
    found: dict[str, Path] = {}
    for depth in range(_DEPTH + 1):
        for path in sorted(folder.glob("/".join(["*"] * (depth + 1)))):
            if path.name not in wanted or not path.is_file():
                continue
            first = found.setdefault(path.name, path)
            if first != path and not filecmp.cmp(first, path, shallow=False):
                raise DataError(
                    f"expected one image {path.name}, found two that differ, {first} and {path}: "
                    "give the folder of one of them"
                )
    return found
