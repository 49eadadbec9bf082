"""Human labels of a data set: one row a pair, with the split, the published corrections and, where people gave some, ratings."""

import io
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.labels import UNLABELLED, Task, combine_labels

ANNOTATION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("text_is_represented", pa.int8()),
        ("image_adds", pa.int8()),
        ("controversial", pa.bool_()),
        ("corrected_text_is_represented", pa.int8()),
        ("corrected_image_adds", pa.int8()),
    ]
)
"""Columns of an annotation file. `split` is "train" or "test"; the corrected labels equal the raw ones where
nobody corrected them; `controversial` marks the samples of Sun et al. 2023 (218 of ITR's test set)."""

RATING = pa.field("rating", pa.float32())
"""A last column that only files of rated pairs have, so that the others stay what they were, byte by byte."""


@dataclass(frozen=True)
class Annotations:
    """Labels of n pairs.

    ids: [n] str. split: [n] "train" or "test" ("set-aside": neither). text, image: [n] int64 in {-1, 0, 1}.
    controversial: [n] bool. corrected_text, corrected_image: [n] int64, equal to text, image where not corrected.
    rating: [n] float32, the mean of people's ratings of how well the image shows the text, NaN where there is none; given
    as no numbers at all, there is none of any pair. Raises DataError for another number of ratings than of pairs.
    """

    ids: NDArray[np.str_]
    split: NDArray[np.str_]
    text: NDArray[np.int64]
    image: NDArray[np.int64]
    controversial: NDArray[np.bool_]
    corrected_text: NDArray[np.int64]
    corrected_image: NDArray[np.int64]
    rating: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))

    def __post_init__(self) -> None:
        if not len(self.rating):
            object.__setattr__(self, "rating", np.full(len(self.ids), np.nan, dtype=np.float32))
        elif len(self.rating) != len(self.ids):
            raise DataError(f"expected one rating a pair, found {len(self.rating)} ratings of {len(self.ids)} pairs")

    @property
    def is_rated(self) -> bool:
        """Whether any pair has a rating."""
        return not bool(np.isnan(self.rating).all())

    def __len__(self) -> int:
        return len(self.ids)

    def labels(self, task: Task, *, corrected: bool = False) -> NDArray[np.int64]:
        """Class indices of a task, [n]; UNLABELLED where a label is missing."""
        text = self.corrected_text if corrected else self.text
        image = self.corrected_image if corrected else self.image
        if task is Task.TEXT:
            return text
        if task is Task.IMAGE:
            return image
        return combine_labels(text, image)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Annotations":
        """The chosen rows, in the order given."""
        return Annotations(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def set_aside(self, rows: NDArray[np.intp]) -> "Annotations":
        """The same, with rows that no choice and no figure looks at: in no split, and without labels."""
        if not len(rows):
            return self
        changed = {name: getattr(self, name).copy() for name in self.__dataclass_fields__}
        changed["split"] = self.split.astype("<U9")
        changed["split"][rows] = "set-aside"
        for name in ("text", "image", "corrected_text", "corrected_image"):
            changed[name][rows] = UNLABELLED
        changed["rating"][rows] = np.nan
        return Annotations(**changed)

    def to_parquet(self) -> bytes:
        """The annotation file's bytes; equal annotations give equal bytes."""
        columns = [
            pa.array(self.ids.tolist(), pa.string()),
            pa.array(self.split.tolist(), pa.string()),
            pa.array(self.text, pa.int8()),
            pa.array(self.image, pa.int8()),
            pa.array(self.controversial, pa.bool_()),
            pa.array(self.corrected_text, pa.int8()),
            pa.array(self.corrected_image, pa.int8()),
        ]
        schema = ANNOTATION_SCHEMA
        if self.is_rated:
            schema = schema.append(RATING)
            columns.append(pa.array(self.rating, pa.float32(), from_pandas=True))
        sink = io.BytesIO()
        pq.write_table(pa.table(columns, schema=schema), sink, compression="zstd")
        return sink.getvalue()

    @staticmethod
    def from_parquet(data: bytes) -> "Annotations":
        """Read what `to_parquet` wrote, now or before there were ratings. Raises DataError for another schema."""
        table = pq.read_table(io.BytesIO(data))
        if table.schema.names not in (ANNOTATION_SCHEMA.names, [*ANNOTATION_SCHEMA.names, RATING.name]):
            raise DataError(
                f"expected an annotation file with the columns {ANNOTATION_SCHEMA.names}, found {table.schema.names}"
            )
        column = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.schema.names}
        return Annotations(
            ids=column["id"].astype(str),
            split=column["split"].astype(str),
            text=column["text_is_represented"].astype(np.int64),
            image=column["image_adds"].astype(np.int64),
            controversial=column["controversial"].astype(bool),
            corrected_text=column["corrected_text_is_represented"].astype(np.int64),
            corrected_image=column["corrected_image_adds"].astype(np.int64),
            rating=column.get(RATING.name, np.empty(0)).astype(np.float32),
        )


def select_set(annotations: Annotations, task: Task, name: str) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows of a named test set and their labels.

    `raw`: the test split as published. `RM`: controversial samples removed. `RL`: controversial samples relabelled.
    Returns ([m] row numbers, [m] class indices); rows without a label for the task are left out.
    Raises DataError for another name or when no row is left.
    """
    if name not in ("raw", "RM", "RL"):
        raise DataError(f"expected the test set raw, RM or RL, found {name!r}")
    labels = annotations.labels(task, corrected=name == "RL")
    chosen = (annotations.split == "test") & (labels != UNLABELLED)
    if name == "RM":
        chosen &= ~annotations.controversial
    rows = np.flatnonzero(chosen)
    if not len(rows):
        raise DataError(
            f"the test set {name} has no labelled pair for the {task} task: ingest a labelled data set with a test split"
        )
    return rows, labels[rows]
