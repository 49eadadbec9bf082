"""Captions read with matched margins: each with its own photograph and with another one's.

Rows as they come mislead: where "dog" stands in half of the matching captions and in a quarter of the others, words alone
tell the label. Here every caption and every photograph is once in a pair that matches and once in one that does not, so that
only the two together tell.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.data.validation import check_candidate
from itrp.datasets.captions import CaptionFolder
from itrp.errors import DataError
from itrp.labels import UNLABELLED

OWN = "text_is_represented"
SEED = 0
"""Of the draw of the other photographs: every ingestion of one file makes the same pairs."""

_LABEL = re.compile(r"([01])(?:\.0+)?")
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class _Made:
    """A record and its annotation."""

    record: Candidate | Rejection
    label: int = UNLABELLED
    split: str = "train"


class MatchedCaptions(CaptionFolder):
    """pairs.csv with the columns image, text and text_is_represented (1: the photograph's own caption), and the photographs.

    Of the photographs with a caption of their own two by two exchange them (three go round where their number is odd), so that
    caption and photograph each stand once in a matching and once in another pair. Rows of other captions are not read. All
    pairs of one photograph are in one split. Raises DataError when the folder has not this layout.
    """

    layout = "captions-match"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, (OWN,))
        labels = [self._read_label(row) for row in range(len(self))]
        self._own = [row for row, label in enumerate(labels) if label == 1]
        if len(self._own) < 2:
            raise DataError(
                f"expected at least two rows of {self.label_path} with {OWN} = 1, a photograph's own caption, found "
                f"{len(self._own)}: give the table with the matching pairs"
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """How the pairs were made, for the report."""
        made = sum(isinstance(each.record, Candidate) for each in self._records) // 2
        others = len(self) - len(self._own)
        return (
            f"made {2 * made} pairs of {made} photographs: every caption with its own photograph (text_is_represented 1) and "
            f"with that of another one (0); two by two they exchange their captions, drawn with the seed {SEED}",
            f"not read: {others} rows whose caption is not the photograph's own ({OWN} 0)",
        )

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """Two records a caption, or one that says why it is rejected; `line` counts records from 1.

        A photograph's first own caption counts, a further one is rejected. Raises DataError when they cannot be exchanged.
        """
        return (each.record for each in self._records)

    def annotations(self) -> Annotations:
        """Labels of all records: row i belongs to the record with line i + 1. A rejected one has none."""
        made = self._records
        text = np.array([each.label for each in made], dtype=np.int64)
        image = np.full(len(made), UNLABELLED, dtype=np.int64)
        ids = np.array([str(each.record.id) for each in made], dtype=np.str_)
        split = np.array([each.split for each in made], dtype=np.str_)
        return Annotations(ids, split, text, image, np.zeros(len(made), dtype=bool), text, image)

    @cached_property
    def _records(self) -> list[_Made]:
        """What becomes of the own captions. All are checked beforehand: one that is rejected takes part in no exchange."""
        checked = [*self._check_own()]
        usable = [each for each in checked if isinstance(each, Candidate)]
        others = draw_others([str(each.text) for each in usable], SEED)
        partners = {each.line: usable[other] for each, other in zip(usable, others, strict=True)}
        made: list[_Made] = []
        for each in checked:
            if isinstance(each, Rejection):
                made.append(
                    _Made(Rejection(each.source, len(made) + 1, each.code, each.reason, each.id, each.image_key))
                )
                continue
            other = partners[each.line]
            split = self._split_together(each, partners)
            for key, suffix, label in ((each.image_key, "-own", 1), (other.image_key, "-other", 0)):
                id_ = self.name_pair(each.line, key, suffix)
                made.append(_Made(Candidate(each.source, len(made) + 1, id_, each.text, key), label, split))
        return made

    def _split_together(self, caption: Candidate, partners: dict[int, Candidate]) -> str:
        """The split of all that exchange photographs with one another."""
        keys: list[str] = []
        following = caption
        while not keys or following.line != caption.line:
            keys.append(following.image_key or "")
            following = partners[following.line]
        return self.split(*keys)

    def _check_own(self) -> Iterator[Candidate | Rejection]:
        """The own captions with their own photographs; `line` is the row, from 0."""
        rows: dict[str, int] = {}
        source = str(self.label_path)
        for row in self._own:
            try:
                key = self.image_key(row)
            except RejectedError as error:
                yield Rejection(source, row, error.code, error.reason, self.name_pair(row, None, "-own"))
                continue
            candidate = Candidate(source, row, self.name_pair(row, key, "-own"), self.text(row), key)
            outcome = check_candidate(candidate, self.read_image)
            if isinstance(outcome, Rejection):
                yield outcome
            elif (first := rows.setdefault(outcome.image_sha256, row)) != row:
                reason = (
                    f"expected one caption of its own a photograph, found a second one in row {row + 1} after row {first + 1}: "
                    "leave out one of them"
                )
                yield Rejection(source, row, "id_conflict", reason, outcome.id, key)
            else:
                yield candidate

    def _read_label(self, row: int) -> int:
        value = self.columns[OWN][row]
        match = _LABEL.fullmatch("" if value is None else str(value).strip())
        if match is None:
            raise DataError(
                f"expected 1 or 0 in the column {OWN} of {self.label_path}, found {ascii(str(value or ''))[:40]} in row "
                f"{row + 1}: correct it"
            )
        return int(match[1])


def draw_others(texts: Sequence[str], seed: int) -> list[int]:
    """For each of n different photographs with these captions [n] another one, whose caption reads otherwise.

    Two by two they exchange, and of an odd number the last three go round, so that whatever shares a caption or a photograph
    is a group of four pairs (or six). Raises DataError where that cannot be had.
    """
    rng = np.random.default_rng(seed)
    words = [" ".join(text.lower().split()) for text in texts]
    for _ in range(_DRAWS if len(texts) > 1 else 0):
        order = rng.permutation(len(texts)).tolist()
        even = len(order) - 3 * (len(order) % 2)
        others = dict(zip(order[:even], (order[place ^ 1] for place in range(even)), strict=True))
        others |= {order[place]: order[even + (place - even + 1) % 3] for place in range(even, len(order))}
        if all(words[one] != words[other] for one, other in others.items()):
            return [others[place] for place in range(len(texts))]
    raise DataError(
        f"expected photographs whose captions differ, so that each gets another's, found {len(set(words))} captions of "
        f"{len(words)} usable photographs: give more of them"
    )
