"""A file of human labels, whatever its form, row by row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from itrp.data.rejections import RejectedError
from itrp.datasets.delimited import Dialect, TextTable
from itrp.datasets.json_array import iter_array
from itrp.datasets.label_files.columns import check_given, find_roles, find_settled
from itrp.datasets.label_files.label_studio import is_task, read_task
from itrp.datasets.label_files.records import read_answers
from itrp.datasets.label_files.rows import BadRow, LabelRow
from itrp.datasets.lines import iter_lines
from itrp.errors import ColumnError, DataError
from itrp.labels import Task

_MARK = b"\xef\xbb\xbf"
"""With which some writers begin UTF-8."""
PARQUET_ROWS = 1000
"""Read at a time."""
_BINARY = {b"PK\x03\x04": "a spreadsheet or zip file", b"\x1f\x8b": "a gzip file", b"\xd0\xcf\x11\xe0": "a spreadsheet"}


class LabelFileReader:
    """CSV, TSV (a spreadsheet's semicolons and marks too), JSON Lines, a JSON array, Label Studio's JSON, or Parquet.

    columns: role -> the column that holds it, of `itrp.datasets.label_files.columns.ROLES`; the others are guessed. Iterating
    reads the file from its beginning, in bounded memory. Raises DataError, when iterated too, where the file as a whole
    cannot be read; what is wrong with single rows comes as a BadRow.
    """

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.columns = dict(columns or {})
        check_given(self.columns)
        self.form = _find_form(path)
        """table, json or parquet."""
        self.roles: dict[str, str] = {}
        """Role -> column, once a table or the first record was read."""
        self._settled: frozenset[Task] = frozenset()

    def __iter__(self) -> Iterator[LabelRow]:
        yield from {"table": self._read_table, "json": self._read_json, "parquet": self._read_parquet}[self.form]()

    def _find_roles(self, names: Sequence[str]) -> dict[str, str]:
        self.roles = find_roles(names, self.columns)
        self._settled = find_settled(self.roles)
        return self.roles

    def _read_table(self) -> Iterator[LabelRow]:
        table = TextTable(self.path)
        delimiter, names = table.find_header(lambda header: [*map(header.index, self._find_roles(header).values())])
        places = {role: names.index(column) for role, column in self._find_roles(names).items()}
        for line, row in table.rows(_choose_dialect(table, delimiter, len(names))):
            if len(row) > len(names) and any(row[len(names) :]):
                yield BadRow(line, f"expected {len(names)} fields, found {len(row)}: put quotes around the longer one")
            else:
                cells = {role: row[place] for role, place in places.items() if place < len(row)}
                yield from read_answers(cells, line, self._settled)

    def _read_parquet(self) -> Iterator[LabelRow]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                roles = self._find_roles(file.schema_arrow.names)
                line = 0
                for batch in file.iter_batches(PARQUET_ROWS, columns=[*dict.fromkeys(roles.values())]):
                    for row in batch.to_pylist():
                        line += 1
                        yield from read_answers(
                            {role: row[column] for role, column in roles.items()}, line, self._settled
                        )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"expected a Parquet file at {self.path}, it cannot be read: {str(error)[:200]}") from error

    def _read_json(self) -> Iterator[LabelRow]:
        with self.path.open("rb") as file:
            for line, value in _iter_values(file):
                if isinstance(value, BadRow):
                    yield value
                elif not isinstance(value, dict):
                    yield BadRow(line, f"expected an object, found a {type(value).__name__}")
                elif is_task(value):
                    yield from read_task(value, line, self.columns)
                else:
                    yield from self._read_object(value, line)

    def _read_object(self, value: dict[str, Any], line: int) -> Iterator[LabelRow]:
        try:
            roles = self._find_roles([*value])
        except ColumnError as error:
            if not self.roles:
                raise DataError(f"{self.path}, line {line}: {error}") from error
            yield BadRow(line, str(error))
            return
        yield from read_answers({role: value[column] for role, column in roles.items()}, line, self._settled)


def _find_form(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise DataError(f"expected a file of labels at {path}, it cannot be opened: {error.strerror}") from error
    if start.startswith(b"PAR1"):
        return "parquet"
    for mark, kind in _BINARY.items():
        if start.startswith(mark):
            raise DataError(
                f"expected CSV, TSV, JSON or Parquet in {path}, found {kind}: save it as CSV in UTF-8, or unpack it"
            )
    if not start.strip():
        raise DataError(f"expected labels in {path}, found an empty file")
    return "json" if start.removeprefix(_MARK).lstrip()[:1] in (b"{", b"[") else "table"


def _choose_dialect(table: TextTable, delimiter: str, fields: int) -> Dialect:
    """The way to read quotes under which the fewest rows have another number of fields than the header; of such, the way
    that finds most rows: an open quote swallows some.
    """
    ways = [Dialect(delimiter, doubled=True, strict=False), Dialect(delimiter, False, '"', strict=False)]
    ways.append(Dialect(delimiter, doubled=False, strict=False, quoted=False))

    def count(dialect: Dialect) -> tuple[int, int]:
        misfits = rows = 0
        try:
            for _, row in table.rows(dialect):
                misfits, rows = misfits + (len(row) != fields), rows + 1
        except DataError:
            return 1 << 62, 0
        return misfits, -rows

    return min(ways, key=count)


def _iter_values(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """(line, JSON value) of an array's elements, or of one value a line."""
    start = file.read(1024)
    mark = len(_MARK) if start.startswith(_MARK) else 0
    file.seek(mark)
    if start[mark:].lstrip().startswith(b"["):
        for line, value in iter_array(file):
            yield line, BadRow(line, value.reason) if isinstance(value, RejectedError) else value
        return
    for line, text in iter_lines(file):
        if text is None:
            yield line, BadRow(line, "expected a line of at most 1 MiB, found a longer one")
        elif text.strip():
            yield line, _parse_line(line, text)


def _parse_line(line: int, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRow(line, f"expected one JSON object a line, found what cannot be read as such: {str(error)[:120]}")
