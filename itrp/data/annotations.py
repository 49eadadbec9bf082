"""Human labels of a data set: one row a pair, with the split and the published corrections."""

import io
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Annotations:
    """Labels of n pairs.

    ids: [n] str. split: [n] "train" or "test" ("set-aside": neither). text, image: [n] int64 in {-1, 0, 1}.
    controversial: [n] bool. corrected_text, corrected_image: [n] int64, equal to text, image where not corrected.
    """

    ids: NDArray[np.str_]
    split: NDArray[np.str_]
    text: NDArray[np.int64]
    image: NDArray[np.int64]
    controversial: NDArray[np.bool_]
    corrected_text: NDArray[np.int64]
    corrected_image: NDArray[np.int64]

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
        sink = io.BytesIO()
        pq.write_table(pa.table(columns, schema=ANNOTATION_SCHEMA), sink, compression="zstd")
        return sink.getvalue()

    @staticmethod
    def from_parquet(data: bytes) -> "Annotations":
        """Read what `to_parquet` wrote. Raises DataError for another schema."""
        table = pq.read_table(io.BytesIO(data))
        if table.schema.names != ANNOTATION_SCHEMA.names:
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
