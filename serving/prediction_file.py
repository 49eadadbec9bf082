"""What one model says of a data set, as a file for people: CSV or Parquet, one row a pair, written shard by shard."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from itrp.data.set_aside import SetAside
from itrp.errors import WrongUseError
from itrp.files import write_atomically
from serving.labels import PROBABILITY_DECIMALS

PREDICTION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.int8()),
        ("class", pa.string()),
        ("probability", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""Columns of the file. The probability is of class 1, whatever the label; a row has a label or a reason."""

WriteRows = Callable[[pa.Table], object]


def check_prediction_file(path: Path, *, overwrite: bool = False) -> None:
    """Whether predictions can be written there, as far as it is known beforehand. Raises WrongUseError."""
    if path.suffix.lower() not in _WRITERS:
        raise WrongUseError(f"expected a file that ends in {' or '.join(_WRITERS)}, found {str(path)!r}: name another")
    if path.is_dir():
        raise WrongUseError(f"expected a file to write to, found the folder {path}: name a file in it")
    if path.exists() and not overwrite:
        raise WrongUseError(f"expected a new file, found {path}: name another, or add --overwrite")


@contextmanager
def write_predictions(path: Path, *, overwrite: bool = False) -> Iterator[WriteRows]:
    """Yield what appends tables of PREDICTION_SCHEMA; the file stands at `path` when the block has ended well, else nothing does.

    Raises WrongUseError as `check_prediction_file` does, before the block and when somebody else wrote there meanwhile.
    """
    check_prediction_file(path, overwrite=overwrite)
    with write_atomically(path) as draft:
        with _WRITERS[path.suffix.lower()](draft) as write:
            yield write
        check_prediction_file(path, overwrite=overwrite)


def build_predictions(
    ids: Sequence[str],
    probabilities: NDArray[np.floating],
    set_aside: Sequence[SetAside],
    class_names: Sequence[str],
) -> pa.Table:
    """A shard's rows: ids [n], class probabilities [n, 2]; rows that are set aside have their reason and nothing else."""
    reasons = {each.row: f"{each.code}: {each.reason}" for each in set_aside}
    unread = np.isin(np.arange(len(ids)), [*reasons])
    labels = np.asarray(probabilities).argmax(axis=1)
    certain = np.asarray(probabilities, dtype=np.float64)[:, 1].round(PROBABILITY_DECIMALS)
    columns = [
        pa.array(ids, pa.string()),
        pa.array(labels.astype(np.int8), pa.int8(), mask=unread),
        pa.array([class_names[label] for label in labels], pa.string(), mask=unread),
        pa.array(certain, pa.float64(), mask=unread),
        pa.array([reasons.get(row) for row in range(len(ids))], pa.string()),
    ]
    return pa.table(columns, schema=PREDICTION_SCHEMA)


@contextmanager
def _open_csv(path: Path) -> Iterator[WriteRows]:
    """UTF-8 with a line of names. Ids are their characters as everywhere: whoever reads them with pandas says dtype=str."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(PREDICTION_SCHEMA.names)
        yield lambda table: rows.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))


@contextmanager
def _open_parquet(path: Path) -> Iterator[WriteRows]:
    with pq.ParquetWriter(path, PREDICTION_SCHEMA, compression="zstd") as writer:
        yield writer.write_table


_WRITERS = {".csv": _open_csv, ".parquet": _open_parquet}
