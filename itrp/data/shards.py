"""Shards: immutable Parquet files of pairs, named by the hash of their content.

The `image` column follows the Hugging Face convention (struct of bytes and path, features in the schema's
metadata), so `datasets.load_dataset("parquet", data_files=...)` shows the images. The bytes are a function
of the pairs alone, with no clock and no source in them: an interrupted ingestion writes the same files again.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from itrp.data.pairs import Pair
from itrp.errors import DataError

ROW_GROUP = 256
"""Pairs a row group: small, so that a shard can be streamed and its images need not all be in memory."""

_FEATURES: dict[str, dict[str, str]] = {
    "id": {"dtype": "string", "_type": "Value"},
    "text": {"dtype": "string", "_type": "Value"},
    "image": {"_type": "Image"},
    "created_at": {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"},
    "lang": {"dtype": "string", "_type": "Value"},
    "image_sha256": {"dtype": "string", "_type": "Value"},
}
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

SHARD_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("image", _IMAGE_TYPE),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("lang", pa.string()),
        ("image_sha256", pa.string()),
    ],
    metadata={b"huggingface": json.dumps({"info": {"features": _FEATURES}}).encode()},
)
"""Columns of a shard. The image's bytes are those of the source untouched, `image_sha256` is their hash."""

_WRITING: dict[str, Any] = {
    # Images are compressed already and their minima mean nothing.
    "compression": {
        **dict.fromkeys(("id", "text", "image.path", "created_at", "lang", "image_sha256"), "zstd"),
        "image.bytes": "none",
    },
    "use_dictionary": ["lang"],
    "write_statistics": ["id", "created_at"],
    "version": "2.6",
}


def encode_shard(pairs: Sequence[Pair]) -> bytes:
    """The shard's bytes; equal pairs give equal bytes. Raises DataError for no pairs or an id twice."""
    if not pairs:
        raise DataError("expected at least one pair for a shard, found none")
    if len({pair.id for pair in pairs}) < len(pairs):
        raise DataError("expected every id once in a shard, found one twice: remove duplicates first")
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, SHARD_SCHEMA, **_WRITING) as writer:
        for start in range(0, len(pairs), ROW_GROUP):
            writer.write_table(_to_table(pairs[start : start + ROW_GROUP]))
    return sink.getvalue()


def shard_hash(data: bytes) -> str:
    """SHA-256 of a shard's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def shard_key(hash_: str) -> str:
    """Where a shard lies in the object store."""
    return f"shards/{hash_}.parquet"


def read_shard(source: bytes | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The shard as a table, all columns or the chosen ones in the order given.

    Raises DataError when the file is not a shard.
    """
    with _open_shard(source) as file:
        table = file.read(columns=list(columns) if columns is not None else None)
    return table if columns is None else table.select(list(columns))


def iter_batches(
    source: bytes | Path, columns: Sequence[str] | None = None, batch_size: int = ROW_GROUP
) -> Iterator[pa.RecordBatch]:
    """The shard in record batches of at most `batch_size` rows, a row group in memory at a time."""
    with _open_shard(source) as file:
        yield from file.iter_batches(batch_size=batch_size, columns=list(columns) if columns is not None else None)


def iter_rows(source: bytes | Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The shard row by row: column name -> value; `image` is {"bytes": ..., "path": ...}."""
    for batch in iter_batches(source, columns):
        yield from batch.to_pylist()


def _to_table(pairs: Sequence[Pair]) -> pa.Table:
    columns = {
        "id": [pair.id for pair in pairs],
        "text": [pair.text for pair in pairs],
        "image": [{"bytes": pair.image, "path": pair.image_path} for pair in pairs],
        "created_at": [pair.created_at for pair in pairs],
        "lang": [pair.lang for pair in pairs],
        "image_sha256": [pair.image_sha256 for pair in pairs],
    }
    return pa.table(columns, schema=SHARD_SCHEMA)


def _open_shard(source: bytes | Path) -> pq.ParquetFile:
    name = "the bytes given" if isinstance(source, bytes) else str(source)
    try:
        file = pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)
    except FileNotFoundError as error:
        raise DataError(f"expected a shard at {name}, found nothing") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"expected a shard (a Parquet file), found in {name}: {error}") from error
    if not file.schema_arrow.equals(SHARD_SCHEMA):
        found = ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)
        file.close()
        wanted = ", ".join(f"{field.name} {field.type}" for field in SHARD_SCHEMA)
        raise DataError(f"expected a shard with the columns {wanted}; found in {name}: {found}. Ingest the data again")
    return file
