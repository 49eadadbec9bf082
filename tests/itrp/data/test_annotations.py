import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itrp.data.annotations import ANNOTATION_SCHEMA, Annotations, select_set
from itrp.errors import DataError
from itrp.labels import Task

ROWS = [
    # id, split, text, image, controversial, corrected text, corrected image
    ("a", "train", 1, 1, False, 1, 1),
    ("b", "test", 1, 0, False, 1, 0),
    ("c", "test", 0, 1, True, 1, 1),
    ("d", "test", 0, 0, True, 0, 1),
    ("e", "test", -1, 1, False, -1, 1),
    ("f", "train", 0, 0, True, 1, 1),
    ("g", "test", 1, 1, False, 1, 1),
]


def make_annotations(rows: Sequence[tuple[object, ...]] = ROWS) -> Annotations:
    columns = list(zip(*rows, strict=True))
    kinds = (np.str_, np.str_, np.int64, np.int64, np.bool_, np.int64, np.int64)
    return Annotations(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))


@pytest.mark.parametrize(
    ("name", "task", "rows", "labels"),
    [
        ("raw", Task.TEXT, [1, 2, 3, 6], [1, 0, 0, 1]),
        ("raw", Task.IMAGE, [1, 2, 3, 4, 6], [0, 1, 0, 1, 1]),
        ("raw", Task.IMAGE_TEXT, [1, 2, 3, 6], [2, 1, 0, 3]),
        ("RM", Task.TEXT, [1, 6], [1, 1]),
        ("RM", Task.IMAGE, [1, 4, 6], [0, 1, 1]),
        ("RM", Task.IMAGE_TEXT, [1, 6], [2, 3]),
        ("RL", Task.TEXT, [1, 2, 3, 6], [1, 1, 0, 1]),
        ("RL", Task.IMAGE, [1, 2, 3, 4, 6], [0, 1, 1, 1, 1]),
        ("RL", Task.IMAGE_TEXT, [1, 2, 3, 6], [2, 3, 1, 3]),
    ],
)
def test_the_named_test_sets(name: str, task: Task, rows: list[int], labels: list[int]) -> None:
    found_rows, found_labels = select_set(make_annotations(), task, name)
    assert found_rows.tolist() == rows
    assert found_labels.tolist() == labels


@pytest.mark.parametrize("name", ["rm", "dev", ""])
def test_another_test_set_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"expected the test set raw, RM or RL, found '{name}'"):
        select_set(make_annotations(), Task.TEXT, name)


def test_an_empty_test_set_is_refused_with_the_next_step() -> None:
    only_train = make_annotations([ROWS[0], ROWS[5]])
    with pytest.raises(DataError, match="the test set raw has no labelled pair for the image task: ingest a labelled"):
        select_set(only_train, Task.IMAGE, "raw")
    all_controversial = make_annotations([ROWS[2]])
    with pytest.raises(DataError, match="the test set RM has no labelled pair"):
        select_set(all_controversial, Task.TEXT, "RM")


def test_labels_of_all_rows() -> None:
    annotations = make_annotations()
    assert len(annotations) == 7
    assert annotations.labels(Task.TEXT).tolist() == [1, 1, 0, 0, -1, 0, 1]
    assert annotations.labels(Task.IMAGE_TEXT).tolist() == [3, 2, 1, 0, -1, 0, 3]
    assert annotations.labels(Task.IMAGE_TEXT, corrected=True).tolist() == [3, 2, 3, 1, -1, 3, 3]


def test_rows_are_taken_in_the_order_given() -> None:
    annotations = make_annotations()
    taken = annotations.take(np.array([5, 1]))
    assert taken.ids.tolist() == ["f", "b"]
    assert taken.corrected_image.tolist() == [1, 0]
    assert taken.controversial.tolist() == [True, False]
    assert annotations.take(annotations.split == "train").ids.tolist() == ["a", "f"]


def test_a_file_comes_back_and_is_written_as_the_same_bytes() -> None:
    annotations = make_annotations()
    data = annotations.to_parquet()
    again = Annotations.from_parquet(data)
    for name in Annotations.__dataclass_fields__:
        before, after = getattr(annotations, name), getattr(again, name)
        assert after.dtype.kind == before.dtype.kind, name
        np.testing.assert_array_equal(after, before)
    assert again.to_parquet() == data
    assert make_annotations().to_parquet() == data
    assert make_annotations(ROWS[::-1]).to_parquet() != data


def test_the_file_is_plain_parquet_with_the_published_columns() -> None:
    table = pq.read_table(io.BytesIO(make_annotations().to_parquet()))
    assert table.schema.equals(ANNOTATION_SCHEMA)
    assert table.slice(2, 1).to_pylist() == [dict(zip(ANNOTATION_SCHEMA.names, ROWS[2], strict=True))]


def rate(annotations: Annotations, *ratings: float) -> Annotations:
    return replace(annotations, rating=np.array(ratings, dtype=np.float32))


def test_ratings_come_back_and_a_pair_may_have_none() -> None:
    rated = rate(make_annotations(ROWS[:3]), 1.5, np.nan, 4)
    assert rated.is_rated
    data = rated.to_parquet()
    assert pq.read_table(io.BytesIO(data)).column("rating").to_pylist() == [1.5, None, 4.0]
    again = Annotations.from_parquet(data)
    np.testing.assert_array_equal(again.rating, rated.rating)
    assert again.rating.dtype == np.float32
    assert again.to_parquet() == data
    assert again.take(np.array([2, 0])).rating.tolist() == [4.0, 1.5]


def test_files_without_ratings_are_those_of_before_byte_by_byte() -> None:
    annotations = make_annotations()
    assert not annotations.is_rated
    assert np.isnan(annotations.rating).all()
    table = pa.table([annotations.ids.tolist(), *(list(column) for column in zip(*(row[1:] for row in ROWS), strict=True))],
                     schema=ANNOTATION_SCHEMA)  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    assert annotations.to_parquet() == sink.getvalue()
    read = Annotations.from_parquet(sink.getvalue())
    assert len(read.rating) == 7
    assert not read.is_rated


def test_a_pair_set_aside_has_no_rating() -> None:
    kept = rate(make_annotations(ROWS[:3]), 1, 2, 3).set_aside(np.array([1]))
    np.testing.assert_array_equal(kept.rating, [1, np.nan, 3])


def test_ratings_of_other_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="expected one rating a pair, found 2 ratings of 3 pairs"):
        rate(make_annotations(ROWS[:3]), 1, 2)


@pytest.mark.parametrize("columns", [ANNOTATION_SCHEMA.names[:-1], [*ANNOTATION_SCHEMA.names, "more"]])
def test_a_file_of_another_schema_is_refused(columns: list[str]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({name: ["x"] for name in columns}), sink)
    with pytest.raises(DataError, match=r"expected an annotation file with the columns \['id', .*, found \['id'"):
        Annotations.from_parquet(sink.getvalue())
