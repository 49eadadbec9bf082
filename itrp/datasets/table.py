"""A table of tweets (CSV, TSV, Parquet, a pandas frame): a row a tweet, with the file of its image."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rounded_ids import find_rounding
from itrp.data.splits import assign_split
from itrp.data.texts import is_utf8
from itrp.data.times import parse_time
from itrp.data.validation import describe_id
from itrp.datasets.delimited import restore_bytes
from itrp.datasets.folders import find_contradictions, read_image
from itrp.datasets.table_columns import NEEDED, choose_column, find_candidates
from itrp.datasets.table_files import Columns, read_frame, read_table_file, unwrap_id
from itrp.errors import DataError
from itrp.labels import UNLABELLED

if TYPE_CHECKING:
    import pandas as pd

_URL = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
_LABEL = re.compile(r"([01])(?:[.,]0+)?")
LABELS = ("text_is_represented", "image_adds")


class TableSource:
    """A table with the columns id, text and image, and as it may be created_at, lang, labels and split.

    table: a CSV, TSV or Parquet file, or a pandas frame. id, text, image, created_at: names of columns; those not given
    are guessed from the usual names. folder: where relative names of images start; by default the file's folder, for a
    frame the working directory. An image may lie anywhere: its name may be absolute. In a frame it may also be a
    pathlib.Path, or the file's bytes. numbered: a table without a column of ids gets the numbers of its rows, from 0, as ids.
    Labels (text_is_represented, image_adds: 1, 0 or nothing) become annotations; the split is that of the column split,
    else each id's hash decides, one half each.

    Raises ColumnError when a column cannot be told, DataError when the table cannot be read, its ids were rounded, its
    images are addresses of the web, or a label is none.
    """

    layout = "csv"

    def __init__(
        self,
        table: "Path | str | pd.DataFrame",
        *,
        id: str | None = None,
        text: str | None = None,
        image: str | None = None,
        created_at: str | None = None,
        folder: Path | None = None,
        numbered: bool = False,
    ) -> None:
        given = {"id": id, "text": text, "image": image, "created_at": created_at}
        needed = tuple(role for role in NEEDED if role != "id") if numbered else NEEDED

        def find(names: Sequence[str]) -> dict[str, list[str]]:
            found = find_candidates(names, given, needed)
            roles.update(found)
            return found

        roles: dict[str, list[str]] = {}
        self.label_path = Path(table) if isinstance(table, str | Path) else Path("data frame")
        """The file that lists the tweets."""
        self.folder = folder or self.label_path.parent
        self.source_files: tuple[Path, ...] = ()
        """The file; none for a frame."""
        if isinstance(table, str | Path):
            self.source_files = (self.label_path,)
            columns = read_table_file(self.label_path, find)
        else:
            columns = read_frame(table, find)
        self._values = _choose(roles, columns)
        if "id" not in self._values:
            self._values["id"] = [*range(len(self._values["text"]))]
        self._values["id"] = [unwrap_id(value) for value in self._values["id"]]
        self._images: dict[str, bytes] = {}
        """Key -> bytes, of a frame's cells that hold the image itself."""
        self._values["image"] = [self._name_image(value) for value in self._values["image"]]
        self._check_columns()
        self._annotations = self._read_annotations()

    def __len__(self) -> int:
        return len(self._values["id"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that is taken from the table: other columns of it are another source."""
        digest = hashlib.sha256()
        for role, values in sorted(self._values.items()):
            digest.update(role.encode())
            for value in values:
                written = repr(None if value is None else str(value))
                digest.update(written.encode("utf-8", "backslashreplace") + b"\n")
        return digest.hexdigest()

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """One record a row; `line` counts rows from 1, without the header."""
        source = str(self.label_path)
        roles = [self._values.get(role) or [None] * len(self) for role in ("id", "text", "image", "created_at", "lang")]
        contradictions = find_contradictions(self._annotations) if self._annotations else {}
        for row, (tweet_id, text, image, created_at, lang) in enumerate(zip(*roles, strict=True), start=1):
            reason = _reject_name(image)
            if row - 1 in contradictions:
                told = contradictions[row - 1]
                yield Rejection(source, row, "id_conflict", told, describe_id(tweet_id), image and str(image))
            elif reason is not None:
                yield Rejection(
                    source, row, "image_key_invalid", reason, describe_id(tweet_id), ascii(image)[1:-1][:1024]
                )
            else:
                written = restore_bytes(text) if isinstance(text, str) else text
                yield Candidate(source, row, tweet_id, written, self._locate(image), created_at, lang)

    def read_image(self, key: str) -> bytes:
        """The bytes of an image. Raises MissingImageError when there is no such file."""
        held = self._images.get(key)
        return read_image(Path(key)) if held is None else held

    def annotations(self) -> Annotations | None:
        """Labels of all rows, row i for the record with line i + 1; None when the table has no labels."""
        return self._annotations

    def _name_image(self, value: object) -> object:
        """A cell as the name of a file; bytes are named by their hash, which makes them part of the fingerprint."""
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(value)
            name = hashlib.sha256(data).hexdigest()
            self._images[str(self.folder / name)] = data
            return name
        return str(value) if isinstance(value, Path) else value

    def _locate(self, image: str | None) -> str | None:
        if not image or not image.strip():
            return None
        path = self.folder / image.strip().removeprefix("file://")
        if "\\" in image and not path.exists():  # written on Windows
            path = self.folder / image.strip().replace("\\", "/")
        return str(path)

    def _check_columns(self) -> None:
        if not len(self):
            raise DataError(f"expected rows in {self.label_path}, found only a header: give a table of tweets")
        if rounding := find_rounding(self._values["id"]):
            raise DataError(f"{self.label_path}: {rounding}")
        images = [image for image in self._values["image"] if isinstance(image, str) and image]
        if sum(_URL.match(image) is not None for image in images) * 2 > len(images):
            raise DataError(
                f"expected files in the image column of {self.label_path}, found addresses such as "
                f"{next(image for image in images if _URL.match(image))[:100]}: download the images, and name the column with "
                "their files with --image COLUMN"
            )
        times = [time for time in self._values.get("created_at", []) if time not in (None, "")]
        if times and all(parse_time(time) is None for time in times):
            raise DataError(
                f"expected times in {self.label_path}, found {str(times[0])[:40]!a} and no other that can be read: write them "
                "as 2018-10-10T20:19:24Z, or name another column with --created-at COLUMN"
            )

    def _read_annotations(self) -> Annotations | None:
        if not any(label in self._values for label in LABELS):
            return None
        text, image = (self._read_labels(label) for label in LABELS)
        ids = np.array([describe_id(value) or "" for value in self._values["id"]], dtype=np.str_)
        splits = self._values.get("split") or [None] * len(self)
        split = np.array([_read_split(value, id_) for value, id_ in zip(splits, ids, strict=True)], dtype=np.str_)
        return Annotations(ids, split, text, image, np.zeros(len(ids), dtype=bool), text, image)

    def _read_labels(self, column: str) -> NDArray[np.int64]:
        values = self._values.get(column) or [None] * len(self)
        labels = np.full(len(self), UNLABELLED, dtype=np.int64)
        for row, value in enumerate(values):
            written = "" if value is None else str(int(value) if isinstance(value, bool) else value).strip()
            match = _LABEL.fullmatch(written)
            if match:
                labels[row] = int(match[1])
            elif written:
                raise DataError(
                    f"expected 1, 0 or nothing in the column {column} of {self.label_path}, found {written[:40]!a} in row "
                    f"{row + 1}: correct it, or give the column another name"
                )
        return labels


def _choose(roles: dict[str, list[str]], columns: Columns) -> Columns:
    """Role -> values of its column; columns of addresses give way to those of files."""
    chosen: Columns = {}
    for role, names in roles.items():
        candidates = {name: columns[name] for name in names}
        if role == "image":
            candidates = {name: values for name, values in candidates.items() if not _holds_urls(values)} or candidates
        column = choose_column(role, candidates)
        if column is not None:
            chosen[role] = columns[column]
    return chosen


def _holds_urls(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) and _URL.match(value) for value in values)


def _reject_name(image: object) -> str | None:
    """Why an image's name cannot be one."""
    if image is None:
        return None
    if not isinstance(image, str):
        return f"expected the image's file name or its bytes, found a {type(image).__name__}"
    if _URL.match(image):
        return f"expected the image's file, found an address, {image[:200]!a}: download the image and name its file"
    if not is_utf8(image) or any(ord(character) < 32 or ord(character) == 127 for character in image):
        return f"expected a file name of printable characters, found {image[:200]!a}"
    return None


def _read_split(value: object, tweet_id: str) -> str:
    return str(value) if value in ("train", "test") else assign_split(tweet_id)
