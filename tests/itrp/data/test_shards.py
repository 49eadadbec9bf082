"""Shards: what is written comes back, byte for byte the same each time, and other tools read it."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from itrp.data.pairs import Pair
from itrp.data.shards import SHARD_SCHEMA, encode_shard, iter_batches, iter_rows, read_shard, shard_hash, shard_key
from itrp.errors import DataError

COLOURS = ["red", "lime", "blue", "white"]


def make_pair(number: int, **changes: object) -> Pair:
    sink = io.BytesIO()
    Image.new("RGB", (6, 4), COLOURS[number % 4]).save(sink, "PNG")
    values = {
        "id": str(number),
        "text": f"text {number} \N{CAT FACE}",
        "image": sink.getvalue(),
        "image_path": f"{number}.png",
    }
    return Pair(**(values | changes))  # type: ignore[arg-type]


def make_pairs(count: int) -> list[Pair]:
    moment = datetime(2016, 1, 10, 12, tzinfo=UTC)
    return [make_pair(n, created_at=moment if n % 2 else None, lang="en" if n % 3 else None) for n in range(count)]


def test_round_trip() -> None:
    pairs = make_pairs(600)
    table = read_shard(encode_shard(pairs))
    assert table.schema.equals(SHARD_SCHEMA)
    rows = table.to_pylist()
    for pair, row in zip(pairs, rows, strict=True):
        assert row == {
            "id": pair.id,
            "text": pair.text,
            "image": {"bytes": pair.image, "path": pair.image_path},
            "created_at": pair.created_at,
            "lang": pair.lang,
            "image_sha256": hashlib.sha256(pair.image).hexdigest(),
        }
    assert list(iter_rows(encode_shard(pairs))) == rows


def test_same_pairs_same_bytes_wherever_they_came_from() -> None:
    here = [make_pair(n, source="landing/a.jsonl", line=n) for n in range(5)]
    there = [make_pair(n, source="landing/b.jsonl", line=n + 100) for n in range(5)]
    assert encode_shard(here) == encode_shard(there)
    assert encode_shard(here) != encode_shard(here[::-1])


def test_small_row_groups() -> None:
    data = encode_shard(make_pairs(600))
    file = pq.ParquetFile(io.BytesIO(data))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [256, 256, 88]
    assert [len(batch) for batch in iter_batches(data, ["id"])] == [256, 256, 88]


def test_chosen_columns(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    path.write_bytes(encode_shard(make_pairs(3)))
    assert read_shard(path, ["text", "id"]).column_names == ["text", "id"]
    assert [row["id"] for row in iter_rows(path, ["id"])] == ["0", "1", "2"]


def test_name_is_the_hash() -> None:
    assert shard_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert shard_key("ba78") == "shards/ba78.parquet"


def test_no_pairs_or_twice_one() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        encode_shard([])
    with pytest.raises(DataError, match="found one twice"):
        encode_shard([make_pair(1), make_pair(1)])


def test_another_file_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1]}), sink)
    with pytest.raises(DataError, match=r"found in the bytes given: id int64.*Ingest the data again"):
        read_shard(sink.getvalue())
    with pytest.raises(DataError, match="a Parquet file"):
        read_shard(b"not parquet at all")
    with pytest.raises(DataError, match="found nothing"):
        read_shard(tmp_path / "absent.parquet")


def test_hugging_face_datasets_shows_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "shard.parquet"
    path.write_bytes(encode_shard(make_pairs(4)))
    rows = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[2]["id"] == "2"
    assert rows[1]["created_at"] == datetime(2016, 1, 10, 12, tzinfo=UTC)
    assert isinstance(rows[2]["image"], Image.Image)
    assert np.asarray(rows[2]["image"])[0, 0].tolist() == [0, 0, 255]
