"""Label files: one Parquet file a shard and pair of model versions, without a clock, so that equal work gives equal bytes."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from itrp.errors import DataError
from itrp.labels import RELATIONS, relation_code

PROBABILITY_DECIMALS = 6
"""Probabilities are rounded to these decimals before they are written."""

LABEL_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text_is_represented", pa.int8()),
        ("image_adds", pa.int8()),
        ("relation", pa.string()),
        ("text_is_represented_probability", pa.float64()),
        ("image_adds_probability", pa.float64()),
        ("text_version", pa.string()),
        ("image_version", pa.string()),
        ("shard", pa.string()),
    ]
)
"""Columns of a label file. The probabilities are of class 1 of each task."""
SET_ASIDE_KEY = b"itrp.set_aside"
"""In the file's own metadata: the shard's tweets that it holds no label of, and why, so that the ledger can be made from it."""


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A tweet of the shard that could not be labelled."""

    row: int
    """0-based in the shard."""
    tweet_id: str
    code: str
    reason: str


def label_key(shard_hash: str, text_version: str, image_version: str) -> str:
    """Where the labels of a shard by a pair of versions lie."""
    return f"labels/text-{text_version}_image-{image_version}/{shard_hash}.parquet"


def build_labels(
    ids: Sequence[str],
    text: NDArray[np.float64],
    image: NDArray[np.float64],
    *,
    shard: str,
    text_version: str,
    image_version: str,
    set_aside: Sequence[SetAsideRow] = (),
) -> pa.Table:
    """Class probabilities [n, 2] of both tasks as a table of labels, n rows; with the shard's other tweets in its metadata."""
    text_labels, image_labels = text.argmax(axis=1), image.argmax(axis=1)
    columns = {
        "id": list(ids),
        "text_is_represented": text_labels,
        "image_adds": image_labels,
        "relation": [relation_code(t, i) for t, i in zip(text_labels, image_labels, strict=True)],
        "text_is_represented_probability": text[:, 1].round(PROBABILITY_DECIMALS),
        "image_adds_probability": image[:, 1].round(PROBABILITY_DECIMALS),
        "text_version": [text_version] * len(ids),
        "image_version": [image_version] * len(ids),
        "shard": [shard] * len(ids),
    }
    table = pa.table([pa.array(columns[field.name], field.type) for field in LABEL_SCHEMA], schema=LABEL_SCHEMA)
    if not set_aside:
        return table
    return table.replace_schema_metadata({SET_ASIDE_KEY: json.dumps([asdict(each) for each in set_aside])})


def encode_labels(table: pa.Table) -> bytes:
    """The label file's bytes; equal tables give equal bytes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def decode_labels(data: bytes) -> pa.Table:
    """Read a label file. Raises DataError for another schema."""
    table = pq.read_table(io.BytesIO(data))
    if table.schema.names != LABEL_SCHEMA.names:
        raise DataError(f"expected a label file with the columns {LABEL_SCHEMA.names}, found {table.schema.names}")
    return table


def read_set_aside_rows(table: pa.Table) -> list[SetAsideRow]:
    """The tweets that a decoded label file holds no label of."""
    told = (table.schema.metadata or {}).get(SET_ASIDE_KEY)
    return [SetAsideRow(**each) for each in json.loads(told)] if told else []


def count_relations(table: pa.Table) -> dict[str, int]:
    """Pairs by relation code, all four codes present."""
    counts = Counter(table.column("relation").to_pylist())
    return {code: counts.get(code, 0) for code in RELATIONS}
