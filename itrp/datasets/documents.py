"""A batch file as JSON documents, recognised by content: JSON Lines, an array, or documents over several lines."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from itrp.data.rejections import RejectedError
from itrp.datasets.compressed import PeekedStream
from itrp.datasets.json_array import iter_array
from itrp.datasets.json_values import (
    MAX_RESPONSE_BYTES,
    count_open,
    is_beginning,
    is_whole,
    parse_values,
    starts_page,
)
from itrp.datasets.lines import MAX_LINE_BYTES, iter_lines

Line = tuple[int, bytes | None]

_LOOK = 4096
_UTF8_MARK = b"\xef\xbb\xbf"
_OTHER_UTF = (b"\xff\xfe", b"\xfe\xff")
_BINARY = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a WebP image",
    b"PK\x03\x04": "a zip archive or an Excel file",
    b"SQLite": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF file",
}


def iter_documents(stream: PeekedStream) -> Iterator[tuple[int, Any]]:
    """Yield (1-based line, JSON value) of a batch file; in the place of a value that cannot be read, a RejectedError.

    One bad line does not stop the others. A file that is no text at all gives one rejection, not one a line.
    """
    head = stream.peek(_LOOK)
    if problem := _find_problem(head):
        yield 1, problem
        return
    if head.startswith(_UTF8_MARK):
        stream.read(len(_UTF8_MARK))
    if head.removeprefix(_UTF8_MARK).lstrip()[:1] == b"[":
        yield from iter_array(stream)
        return
    lines = iter_lines(stream, may_be_longer=starts_page, longest=MAX_RESPONSE_BYTES)
    first, damage = _take_written(lines, 3)
    rest = chain(first, lines)
    yield from _read_several(rest) if _spans_lines(first) else _read_each(rest)
    if damage:
        raise damage


def _find_problem(head: bytes) -> RejectedError | None:
    """Why a file that begins so is no text in UTF-8."""
    if kind := next((kind for magic, kind in _BINARY.items() if head.startswith(magic)), None):
        return RejectedError("record_not_json", f"expected a batch of tweets in JSON, found {kind}")
    if head.startswith(_OTHER_UTF) or (b"\0" in head[:4] and head[:4].replace(b"\0", b"")[:1] in (b"{", b"[")):
        return RejectedError(
            "text_not_utf8",
            "expected UTF-8, found UTF-16 or UTF-32, as PowerShell's > writes it: save the batch as UTF-8 "
            "(in PowerShell: | Out-File -Encoding utf8)",
        )
    if b"\0" in head:
        return RejectedError("record_not_json", "expected a batch of tweets in JSON, found bytes that are no text")
    return None


def _take_written(lines: Iterator[Line], count: int) -> tuple[list[Line], RejectedError | None]:
    """Lines up to the `count`-th that is not blank, and the damage of the file that lies before it, if any."""
    taken: list[Line] = []
    try:
        for number, line in lines:
            taken.append((number, line))
            count -= line is None or bool(line.strip())
            if not count:
                break
    except RejectedError as error:
        return taken, error
    return taken, None


def _spans_lines(first: list[Line]) -> bool:
    """Whether the file's documents go over several lines, as pretty-printed JSON does.

    first: its first lines, three that are not blank, or all. They make one beginning of JSON, or a whole, which a line
    that broke off and whole records behind it do not.
    """
    written = [line for _, line in first if line is None or line.strip()]
    if len(written) < 2 or None in written:
        return False
    joined = b"\n".join(line for line in written if line is not None)
    return is_beginning(written[0] or b"") and (is_whole(joined) or (len(written) == 3 and is_beginning(joined)))


def _read_each(lines: Iterator[Line]) -> Iterator[tuple[int, Any]]:
    """Each line a document, or several."""
    for number, line in lines:
        if line is None:
            yield number, _reject_length("a line", MAX_LINE_BYTES)
        elif line.strip():
            try:
                values = parse_values(line)
            except RejectedError as error:
                yield number, error
            else:
                yield from ((number, value) for value in values)


def _read_several(lines: Iterator[Line]) -> Iterator[tuple[int, Any]]:
    """Documents over several lines: each ends with the line that closes its first bracket."""
    kept, size, depth, began = bytearray(), 0, 0, 0
    for number, line in lines:
        if not depth and line is not None and not line.strip():
            continue
        began = began if depth or kept else number
        depth += count_open(line) if line is not None else 0
        size += len(line) + 1 if line is not None else MAX_RESPONSE_BYTES
        if size <= MAX_RESPONSE_BYTES:
            kept += (line or b"") + b"\n"
        if depth <= 0:
            yield from _read_document(bytes(kept), size, began)
            kept, size, depth = bytearray(), 0, 0
    if depth:
        yield (
            began,
            RejectedError("record_not_json", "expected the closing bracket of this object, found the file's end"),
        )


def _read_document(data: bytes, size: int, line: int) -> Iterator[tuple[int, Any]]:
    if size > MAX_RESPONSE_BYTES:
        yield line, _reject_length("a JSON object", MAX_RESPONSE_BYTES)
        return
    try:
        values = parse_values(data)
    except RejectedError as error:
        yield line, error
    else:
        yield from ((line, value) for value in values)


def _reject_length(what: str, limit: int) -> RejectedError:
    return RejectedError("record_too_long", f"expected {what} of at most {limit:,} bytes, found a longer one")
