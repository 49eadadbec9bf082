"""Tables in text files (CSV, TSV, a spreadsheet's semicolons): the whole file's content decides how it is read.

No header and no single row tells how quotes were written. So the file is read in every way that writers know; a way fits
when each row has the header's fields. Where two fit and give different values, the file is rejected: nothing is cut.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from itrp.errors import AmbiguousTableError, DataError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_FIELD_CHARACTERS = 1024 * 1024
"""Longest field that is read: an open quote must not swallow a file of any size."""

Names = Sequence[str]
Row = list[str]
ChooseColumns = Callable[[Names], Sequence[int]]
"""The places of the columns that are wanted. Raises DataError where the header is not the expected one."""
CheckRow = Callable[[Names, Row], str | None]
"""What is wrong with a row, None when nothing is."""

_PAIR = re.compile(r"\\(\r\n|.?)", re.DOTALL)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')
"""A first line that spreadsheets write for one another."""


@dataclass(frozen=True)
class Dialect:
    """One way to write a table."""

    delimiter: str
    doubled: bool
    """A quote in a field is written as two."""
    escaped: str = ""
    """What a backslash stands before; any other backslash is a backslash."""
    strict: bool = True
    quoted: bool = True
    """Fields may stand in quotes; else a quote is only a quote."""

    def __str__(self) -> str:
        quotes = (
            "no quotes around fields"
            if not self.quoted
            else "quotes doubled"
            if self.doubled
            else "quotes after a backslash"
        )
        backslashes = ", backslashes doubled" if "\\" in self.escaped else ""
        return f"{DELIMITERS[self.delimiter]} between fields, {quotes}{backslashes}"

    def protect(self, line: str) -> str:
        """The line with every backslash doubled that is only a backslash: the parser drops single ones."""
        if not self.escaped or "\\" not in line:
            return line
        return _PAIR.sub(self._protect_pair, line)

    def _protect_pair(self, match: re.Match[str]) -> str:
        after = match[1]
        if after and after[0] in self.escaped:
            return "\\\n" if after == "\r\n" else match[0]
        return "\\\\" + ("\\\\" if after == "\\" else after)

    def parse(self, lines: Iterator[str]) -> "csv._reader":  # type: ignore[name-defined]
        """The csv module's reader."""
        escape = "\\" if self.escaped else None
        kind: dict[str, Any] = {"delimiter": self.delimiter, "doublequote": self.doubled, "escapechar": escape}
        kind["quoting"] = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        return csv.reader(map(self.protect, lines), strict=self.strict, **kind)


@dataclass(frozen=True)
class _Traces:
    """What writers left in a file."""

    after_backslash: frozenset[str]
    bare_quotes: bool
    """A quote that no backslash stands before."""
    inner_quotes: bool
    """Such a quote in the middle of a field, which a writer of backslashes never leaves."""
    needless_quotes: bool
    """Quotes around a field that holds nothing they are needed for."""


@dataclass(frozen=True)
class _Fault:
    row: int
    told: str


class TextTable:
    """A delimited text file. UTF-8 or, with its mark, UTF-16; bytes that are neither become lone surrogates.

    Raises DataError when the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                start = file.read(4)
        except OSError as error:
            raise DataError(f"expected a file at {path}, it cannot be opened: {error.strerror}") from error
        self._encoding = _find_encoding(start)
        self._skipped = 0
        self._separator: str | None = None
        with self._open() as file:
            if match := _SEPARATOR_LINE.fullmatch(file.readline(16)):
                self._skipped, self._separator = 1, match[1]

    def find_header(self, choose: ChooseColumns) -> tuple[str, Names]:
        """Delimiter and column names. Raises the DataError of `choose` for the header of the most columns."""
        delimiters = [self._separator] if self._separator in DELIMITERS else [*DELIMITERS]
        headers = [(delimiter, self._read_header(delimiter)) for delimiter in delimiters if delimiter]
        headers.sort(key=lambda header: -len(header[1]))
        for delimiter, names in headers:
            try:
                choose(names)
            except DataError:
                continue
            return delimiter, names
        choose(headers[0][1])
        raise AssertionError("a header that was rejected is rejected again")

    def rows(self, dialect: Dialect) -> Iterator[tuple[int, Row]]:
        """(1-based line where it ends, row) of every row after the header that holds anything.

        Raises DataError where the parser cannot go on.
        """
        with self._open() as file:
            for _ in range(self._skipped):
                file.readline()
            reader = dialect.parse(iter(file))
            try:
                found = False
                for row in reader:
                    if any(row):
                        if found:
                            yield reader.line_num + self._skipped, row
                        found = True
            except csv.Error as error:
                line = reader.line_num + self._skipped
                raise DataError(f"expected a CSV file at {self.path}, line {line} cannot be read: {error}") from error
            except UnicodeError as error:
                raise DataError(f"expected {self._encoding} in {self.path}, found other bytes: {error}") from error

    def read(
        self,
        choose: ChooseColumns,
        check: CheckRow | None = None,
        is_escaped_form: Callable[[Names], bool] | None = None,
    ) -> tuple[Names, list[Row]]:
        """All column names, and of every row the chosen columns.

        check: by default, that a row has as many fields as the header.
        is_escaped_form: says of a header that its form is documented to escape by backslashes; where every field of it is
        quoted, this decides between two ways that fit.
        Raises DataError when no way to read the file fits, or when two do and give different values.
        """
        delimiter, names = self.find_header(choose)
        places = choose(names)
        faults: dict[Dialect, _Fault] = {}
        fits: list[tuple[Dialect, list[Row]]] = []
        traces = self._find_traces(delimiter)
        for dialect in self._list_dialects(delimiter, traces):
            try:
                fits.append((dialect, [*self._read_checked(dialect, names, places, check or count_fields)]))
            except _MisfitError as error:
                faults[dialect] = error.fault
        if not fits:
            raise DataError(self._explain_misfit(faults))
        if not traces.needless_quotes and len({len(rows) for _, rows in fits}) == 1:
            fits = [fit for fit in fits if fit[0].quoted] or fits
        if is_escaped_form and is_escaped_form(names) and self._is_header_quoted():
            fits.sort(key=lambda fit: fit[0].doubled)
            return names, fits[0][1]
        for dialect, rows in fits[1:]:
            self._compare(names, places, fits[0], (dialect, rows))
        return names, fits[0][1]

    def _read_header(self, delimiter: str) -> Names:
        with self._open() as file:
            for _ in range(self._skipped):
                file.readline()
            try:
                reader = Dialect(delimiter, doubled=True, strict=False).parse(iter(file))
                header: Row = next((row for row in reader if any(row)), [])
            except (csv.Error, UnicodeError) as error:
                raise DataError(f"expected a CSV file at {self.path}, it cannot be read: {error}") from error
        names = [name.strip() for name in header]
        while names and not names[-1]:
            names.pop()
        return names

    def _list_dialects(self, delimiter: str, traces: _Traces) -> list[Dialect]:
        """Ways that could have written the file."""
        dialects = [Dialect(delimiter, doubled=True)]
        breaks = f"{delimiter}\r\n"  # written without quotes, these are escaped
        escaped = '"\\' if traces.bare_quotes else '"\\' + breaks
        if traces.after_backslash and traces.after_backslash <= {*escaped}:
            # a writer that escapes leaves no backslash alone
            dialects += [Dialect(delimiter, False, escaped)] if not traces.inner_quotes else []
            dialects.append(Dialect(delimiter, True, escaped))
        elif '"' in traces.after_backslash and not traces.inner_quotes:
            dialects.append(Dialect(delimiter, False, '"'))
        if delimiter == "\t" and traces.bare_quotes and not self._is_header_quoted():
            dialects.append(Dialect(delimiter, False, quoted=False))
            if traces.after_backslash and traces.after_backslash <= {"\\", *breaks}:
                dialects.append(Dialect(delimiter, False, "\\" + breaks, quoted=False))
        return dialects

    def _find_traces(self, delimiter: str) -> _Traces:
        after: set[str] = set()
        bare = inner = needless = False
        edge = re.escape(delimiter)
        in_field = re.compile(rf'[^{edge}\r\n]"[^{edge}\r\n]')
        in_quotes = re.compile(rf'(?:^|{edge})"[^"{edge}\r\n]*"(?:{edge}|[\r\n]|$)')
        with self._open() as file:
            for line in file:
                if "\\" in line:
                    after.update(match[1][:1] for match in _PAIR.finditer(line))
                    line = _PAIR.sub("..", line)
                if '"' in line:
                    bare, inner = True, inner or in_field.search(line) is not None
                    needless = needless or in_quotes.search(line) is not None
        return _Traces(frozenset(after), bare, inner, needless)

    def _read_checked(self, dialect: Dialect, names: Names, places: Sequence[int], check: CheckRow) -> Iterator[Row]:
        number = 0
        try:
            for number, (line, row) in enumerate(self.rows(dialect), start=1):
                while len(row) > len(names) and not row[-1].strip():
                    row.pop()
                if told := check(names, row):
                    raise _MisfitError(_Fault(number, f"{told} in row {number} (line {line})"))
                row += [""] * (len(names) - len(row))
                yield [row[place] for place in places]
        except DataError as error:
            raise _MisfitError(_Fault(number + 1, str(error))) from error

    def _explain_misfit(self, faults: dict[Dialect, _Fault]) -> str:
        """The fault of the way that came furthest."""
        dialect = max(faults, key=lambda each: faults[each].row)
        return (
            f"expected {self.path} to be a table with {dialect}, found {faults[dialect].told}: correct the row, or write the "
            "file again with a CSV writer (pandas: to_csv(index=False)), or give Parquet where that is taken"
        )

    def _compare(
        self, names: Names, places: Sequence[int], one: tuple[Dialect, list[Row]], other: tuple[Dialect, list[Row]]
    ) -> None:
        """Raises DataError naming the first value that two ways read differently."""
        for number, (first, second) in enumerate(zip(one[1], other[1], strict=False), start=1):
            if first != second:
                place = next(place for place, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
                name, values = names[places[place]], (first[place], second[place])
                raise AmbiguousTableError(
                    f"expected one way to read {self.path}, found two: row {number} has in the column {name} "
                    f"{values[0][:80]!a} ({one[0]}) or {values[1][:80]!a} ({other[0]}). Give texts as JSON Lines or Parquet, "
                    "which say it themselves"
                )
        if len(one[1]) != len(other[1]):
            raise AmbiguousTableError(
                f"expected one way to read {self.path}, found {len(one[1]):,} rows ({one[0]}) or {len(other[1]):,} ({other[0]})"
            )

    def _is_header_quoted(self) -> bool:
        with self._open() as file:
            return file.readline(4096).lstrip().startswith('"')

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        errors = "surrogateescape" if self._encoding == "utf-8-sig" else "strict"
        with self.path.open(encoding=self._encoding, errors=errors, newline="") as file:
            yield file


class _MisfitError(Exception):
    """A row that does not fit the dialect."""

    def __init__(self, fault: _Fault) -> None:
        super().__init__(fault.told)
        self.fault = fault


def count_fields(names: Names, row: Row) -> str | None:
    """Says so when a row has not as many fields as the header."""
    return None if len(row) == len(names) else f"{len(row)} fields for {len(names)} columns"


def restore_bytes(text: str) -> str | bytes:
    """The bytes of a field that is not UTF-8, so that the text check rejects it for what it is; else the field."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a half of a pair that a program wrote
            return text
    return text


def _find_encoding(start: bytes) -> str:
    """By the mark at the beginning; UTF-16 of a Latin header without a mark has zeros at every other place."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(start) == 4 and start[1::2] == b"\0\0":
        return "utf-16-le"
    return "utf-16-be" if len(start) == 4 and start[::2] == b"\0\0" else "utf-8-sig"
