"""Captions that three people each rated from 1 (the image does not show it) to 4 (it does): Flickr8k's expert judgements.

Hodosh et al. 2013 collected them for Flickr8k; several captions, a photograph's own and others', stand with one photograph.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.datasets.captions import CaptionFolder
from itrp.labels import UNLABELLED

RATINGS = ("rating_1", "rating_2", "rating_3")
LOWEST, HIGHEST = 1, 4
REPRESENTED_FROM = 2
"""The least median rating of a text that counts as represented."""

_RATING = re.compile(r"([1-4])(?:\.0+)?")


class RatedCaptions(CaptionFolder):
    """pairs.csv with the columns image, text, rating_1, rating_2 and rating_3, and the images.

    Annotations: the mean rating of each pair, and the text label, 1 where the median rating is 2 or more. Nobody was asked
    what an image adds. The split: the hash of the image decides, so that all pairs of one are in one split, half of the
    images in each. Raises DataError when the folder has not this layout.
    """

    layout = "rated-captions"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, RATINGS)
        self._ratings = [self._read_ratings(row) for row in range(len(self))]

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """One record a row; `line` counts rows from 1, without the header."""
        source = str(self.label_path)
        for row, ratings in enumerate(self._ratings):
            try:
                key = self.image_key(row)
            except RejectedError as error:
                yield Rejection(source, row + 1, error.code, error.reason, self.name_pair(row, None))
                continue
            id_ = self.name_pair(row, key)
            if isinstance(ratings, str):
                yield Rejection(source, row + 1, "rating_invalid", ratings, id_, key)
            else:
                yield Candidate(source, row + 1, id_, self.text(row), key)

    def annotations(self) -> Annotations:
        """Labels and mean ratings of all rows: row i belongs to the record with line i + 1. A rejected row has none."""
        keys = [self._find_key(row) for row in range(len(self))]
        rated = [None if isinstance(ratings, str) else ratings for ratings in self._ratings]
        text = [UNLABELLED if each is None else int(sorted(each)[1] >= REPRESENTED_FROM) for each in rated]
        labels = np.array(text, dtype=np.int64)
        image = np.full(len(self), UNLABELLED, dtype=np.int64)
        return Annotations(
            ids=np.array([self.name_pair(row, key) for row, key in enumerate(keys)], dtype=np.str_),
            split=np.array([self.split(key or "") for key in keys], dtype=np.str_),
            text=labels,
            image=image,
            controversial=np.zeros(len(self), dtype=bool),
            corrected_text=labels,
            corrected_image=image,
            rating=np.array([np.nan if each is None else sum(each) / len(each) for each in rated], dtype=np.float32),
        )

    def _find_key(self, row: int) -> str | None:
        try:
            return self.image_key(row)
        except RejectedError:
            return None

    def _read_ratings(self, row: int) -> list[int] | str:
        """The three ratings of a row, or why it is rejected."""
        ratings = []
        for name in RATINGS:
            value = self.columns[name][row]
            match = _RATING.fullmatch("" if value is None else str(value).strip())
            if match is None:
                found = "nothing" if value in (None, "") else ascii(str(value))[:40]
                return (
                    f"expected a rating from {LOWEST} to {HIGHEST} in {name}, found {found} in row {row + 1}: correct it, or "
                    "leave out the row"
                )
            ratings.append(int(match[1]))
        return ratings
