"""The label file: its columns, its bytes, its key."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itrp.errors import DataError
from serving.labels import LABEL_SCHEMA, build_labels, count_relations, decode_labels, encode_labels, label_key

TEXT = np.array([[0.9, 0.1], [0.25, 0.75], [0.4, 0.6], [0.123456789, 0.876543211]])
IMAGE = np.array([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.5, 0.5]])


def build() -> pa.Table:
    return build_labels(["a", "b", "c", "d"], TEXT, IMAGE, shard="f" * 64, text_version="3", image_version="11")


def test_rows_by_hand() -> None:
    table = build()
    assert table.schema == LABEL_SCHEMA
    assert table.to_pylist()[1] == {
        "id": "b",
        "text_is_represented": 1,
        "image_adds": 0,
        "relation": "10",
        "text_is_represented_probability": 0.75,
        "image_adds_probability": 0.3,
        "text_version": "3",
        "image_version": "11",
        "shard": "f" * 64,
    }
    # a tie is class 0; probabilities are of class 1, also where the label is 0
    assert table.column("relation").to_pylist() == ["00", "10", "11", "10"]
    assert table.column("text_is_represented_probability").to_pylist() == [0.1, 0.75, 0.6, 0.876543]
    assert count_relations(table) == {"00": 1, "01": 0, "10": 2, "11": 1}


def test_columns_are_those_the_contract_names() -> None:
    assert LABEL_SCHEMA.names == [
        "id", "text_is_represented", "image_adds", "relation", "text_is_represented_probability",
        "image_adds_probability", "text_version", "image_version", "shard",
    ]  # fmt: skip


def test_equal_labels_are_equal_bytes() -> None:
    data = encode_labels(build())
    assert data == encode_labels(build())
    assert decode_labels(data).equals(build())


def test_no_clock_in_the_file() -> None:
    metadata = pq.read_metadata(io.BytesIO(encode_labels(build())))
    assert set(metadata.metadata or {}) <= {b"ARROW:schema"}


def test_another_file_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"]}), sink)
    with pytest.raises(DataError, match=r"expected a label file with the columns \['id', .*found \['id'\]"):
        decode_labels(sink.getvalue())


def test_key_tells_shard_and_pair() -> None:
    assert label_key("abc", "3", "11") == "labels/text-3_image-11/abc.parquet"
    assert label_key("abc", "31", "1") != label_key("abc", "3", "11")
