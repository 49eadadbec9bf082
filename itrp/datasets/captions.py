"""A folder of captions: pairs.csv, a row a caption with the file of a photograph, and the photographs."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from itrp.data.rejections import MissingImageError, RejectedError
from itrp.data.splits import assign_split
from itrp.datasets.delimited import restore_bytes
from itrp.datasets.folders import read_image
from itrp.datasets.media import resolve_key
from itrp.datasets.table_files import read_table_file
from itrp.errors import DataError

_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9_-]")
_STEM = 40
"""Characters of an image's name in an id: the row's number and what a pair is called must fit behind it."""


class CaptionFolder:
    """The columns of pairs.csv, and images by paths relative to the folder or to `images` in it.

    columns: names of those that are needed beside image and text. Raises DataError when the table or a column is not there.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.folder = folder
        self.label_path = folder / "pairs.csv"
        """The file that lists the pairs."""
        if not self.label_path.is_file():
            raise DataError(
                f"expected pairs.csv and images/ in {folder}, found no pairs.csv: give the folder that holds both"
            )
        needed = ("image", "text", *columns)

        def find(names: Sequence[str]) -> dict[str, list[str]]:
            if missing := [name for name in needed if name not in names]:
                raise DataError(
                    f"expected the columns {', '.join(needed)} in {self.label_path}, found {', '.join(names)[:300] or 'none'}: "
                    f"add {', '.join(missing)}"
                )
            return {name: [name] for name in needed}

        self.columns: dict[str, list[Any]] = read_table_file(self.label_path, find)
        if not len(self):
            raise DataError(f"expected rows in {self.label_path}, found only a header: give a table of captions")
        self._digests: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.columns["text"])

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The files whose content makes this source what it is."""
        return (self.label_path,)

    def text(self, row: int) -> object:
        """The caption in a row, from 0; bytes where it is not UTF-8."""
        value = self.columns["text"][row]
        return restore_bytes(value) if isinstance(value, str) else value

    def image_key(self, row: int) -> str | None:
        """The image's path in a row, from 0. Raises RejectedError for one that leads out of the folder."""
        return resolve_key(self.columns["image"][row], "")

    def name_pair(self, row: int, key: str | None, suffix: str = "") -> str:
        """An id: the image's name, the row's number from 1, and what tells apart two pairs of one row."""
        stem = _NOT_OF_AN_ID.sub("_", PurePosixPath(key or "no-image").stem)[:_STEM]
        return f"{stem}-{row + 1}{suffix}"

    def read_image(self, key: str) -> bytes:
        """An image's bytes. Raises MissingImageError when there is no such file."""
        forms = dict.fromkeys((key, unicodedata.normalize("NFC", key), unicodedata.normalize("NFD", key)))
        for place in (place for form in forms for place in (self.folder / form, self.folder / "images" / form)):
            try:
                return read_image(place)
            except MissingImageError:
                continue
        raise MissingImageError(f"{self.folder / key}, and below images/")

    def digest(self, key: str) -> str:
        """SHA-256 (hex) of an image's bytes; of its name, where it cannot be read and its pairs are rejected."""
        if key not in self._digests:
            try:
                content = self.read_image(key)
            except (MissingImageError, RejectedError):
                content = key.encode()
            self._digests[key] = sha256(content).hexdigest()
        return self._digests[key]

    def split(self, *keys: str) -> str:
        """ "train" or "test", one half each, for all pairs of some images: the hash of the images alone decides."""
        return assign_split(min(map(self.digest, keys)))
