"""Texts for an ITR label file without them: a table or JSON Lines file with the tweets' ids and texts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from itrp.data.rounded_ids import find_rounding
from itrp.datasets.delimited import Names
from itrp.datasets.lines import iter_lines
from itrp.datasets.table_files import read_table_file
from itrp.errors import DataError

ID_NAMES = ("tweet_id", "id_str", "id")
TEXT_NAMES = ("tweet", "full_text", "text")
"""In the order they are looked for."""


def read_itr_texts(path: Path) -> dict[str, str]:
    """Texts by tweet id from CSV, TSV or Parquet (columns tweet_id or id, tweet or text) or a JSONL file of the same.

    Raises DataError when the file is missing, has no such columns, gives a tweet two texts, or when its ids were rounded.
    """
    rows = _read_json_rows(path) if path.suffix in (".jsonl", ".json") else _read_table_rows(path)
    texts: dict[str, str] = {}
    ids: list[Any] = []
    for number, (tweet_id, text) in enumerate(rows, start=1):
        ids.append(tweet_id)
        known = texts.setdefault(str(tweet_id).strip(), text)
        if known != text:
            raise DataError(
                f"expected one text a tweet in {path}, row {number} has another one for the tweet {str(tweet_id)[:40]} "
                "than an earlier row: remove one of them"
            )
    if rounding := find_rounding(ids):
        raise DataError(f"{path}: {rounding}")
    return texts


def _read_table_rows(path: Path) -> Iterator[tuple[Any, str]]:
    """Rows without a text are skipped: their tweets then have none."""
    columns = read_table_file(path, lambda names: _find_columns(names, path))
    tweet_ids, texts = columns.values()
    yield from ((tweet_id, text) for tweet_id, text in zip(tweet_ids, texts, strict=True) if isinstance(text, str))


def _find_columns(names: Names, path: Path) -> dict[str, list[str]]:
    found = {
        role: [name for name in wanted if name in names][:1]
        for role, wanted in (("id", ID_NAMES), ("text", TEXT_NAMES))
    }
    if not all(found.values()):
        raise DataError(
            f"expected tweet_id (or id) and tweet (or text) among the columns of {path}, row 1 has "
            f"{', '.join(names)[:300] or 'nothing'}"
        )
    return found


def _read_json_rows(path: Path) -> Iterator[tuple[Any, str]]:
    try:
        with path.open("rb") as file:
            for number, line in iter_lines(file):
                if line is None or line.strip():
                    yield _parse_row(line, path, number)
    except OSError as error:
        raise DataError(f"expected a texts file at {path}, it cannot be opened: {error.strerror}") from error


def _parse_row(line: bytes | None, path: Path, number: int) -> tuple[Any, str]:
    try:
        row = json.loads((line or b"").removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected a JSON object in line {number} of {path}, it cannot be read: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"expected a JSON object in line {number} of {path}, found a {type(row).__name__}")
    tweet_id, text = (
        next((row[name] for name in names if row.get(name) is not None), None) for names in (ID_NAMES, TEXT_NAMES)
    )
    if tweet_id is None or not isinstance(text, str):
        raise DataError(
            f"expected tweet_id (or id) and tweet (or text) in every row of {path}, row {number} has {sorted(row)[:8]}"
        )
    return tweet_id, text
