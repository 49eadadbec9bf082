"""The columns of a CSV, TSV or Parquet file or of a data frame, every value as it stands there: no id becomes a float."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itrp.datasets.delimited import TextTable
from itrp.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[Any]]
"""Column name -> n values; None where there is none."""
Candidates = Mapping[str, Sequence[str]]
"""Role -> names of columns."""
FindColumns = Callable[[Sequence[str]], Candidates]
"""Raises DataError when the header is not the expected one."""

_AS_TEXT = re.compile(r"""="(.*)"|'(\d+)""", re.DOTALL)
"""How people keep a spreadsheet from rounding an id: ="1294…" or '1294…"""
_NULL = "\\N"
"""What MySQL and PostgreSQL write for no value."""
_OTHERS = {b"PK\x03\x04": "a spreadsheet or zip file", b"\x1f\x8b": "a gzip file", b"\xd0\xcf\x11\xe0": "a spreadsheet"}


def read_table_file(path: Path, find: FindColumns) -> Columns:
    """The columns of a file that `find` names. Raises DataError when the file cannot be read as a table."""
    start = _read_start(path)
    if start.startswith(b"PAR1"):
        return _read_parquet(path, find)
    for mark, kind in _OTHERS.items():
        if start.startswith(mark):
            raise DataError(
                f"expected CSV, TSV or Parquet in {path}, found {kind}: save it as CSV in UTF-8, or unpack it"
            )

    def choose(names: Sequence[str]) -> list[int]:
        return [names.index(name) for name in _flatten(find(names))]

    names, rows = TextTable(path).read(choose)
    kept = _flatten(find(names))
    return {name: [_clean(row[place]) for row in rows] for place, name in enumerate(kept)}


def read_frame(frame: "pd.DataFrame", find: FindColumns) -> Columns:
    """The columns of a pandas frame that `find` names."""
    names = [str(name) for name in frame.columns]
    places = {name: names.index(name) for name in _flatten(find(names))}
    return {name: [_clean(value) for value in frame.iloc[:, place].tolist()] for name, place in places.items()}


def _read_start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise DataError(f"expected a table at {path}, it cannot be opened: {error.strerror}") from error


def _read_parquet(path: Path, find: FindColumns) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            kept = _flatten(find(file.schema_arrow.names))
            table = file.read(columns=kept)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"expected a Parquet file at {path}, it cannot be read: {str(error)[:200]}") from error
    for name in kept:
        if pa.types.is_nested(table.schema.field(name).type):
            raise DataError(
                f"expected plain values in the column {name} of {path}, found {table.schema.field(name).type}: "
                "write images as files, and give the column with their names"
            )
    return {name: [_clean(value) for value in table.column(name).to_pylist()] for name in kept}


def _flatten(candidates: Candidates) -> list[str]:
    return [*dict.fromkeys(name for names in candidates.values() for name in names)]


def _clean(value: Any) -> Any:
    """A value as it came, None for every way to write that there is none; points in time as ISO 8601."""
    if value is None or value == _NULL or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if str(value) in ("<NA>", "NaT"):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def unwrap_id(value: Any) -> Any:
    """The id in what keeps a spreadsheet from rounding it, and without the spaces around it."""
    if not isinstance(value, str):
        return value
    match = _AS_TEXT.fullmatch(value.strip())
    return (match[1] or match[2] or "") if match else value.strip()
