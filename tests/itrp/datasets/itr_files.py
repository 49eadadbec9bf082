"""ITR's label files in both published forms, and its list, written small."""

import csv
from pathlib import Path

from itrp.datasets.itr_labels import LABEL_COLUMNS, read_itr_labels

HEADER = "tweet_id," + ",".join(LABEL_COLUMNS) + ",,,\n"
ONE_HOT = {"11": "1,0,0,0", "01": "0,1,0,0", "10": "0,0,1,0", "00": "0,0,0,1"}


def labels(code: str) -> str:
    return f"{code[0]},{code[1]},{ONE_HOT[code]}"


def write_published(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(row + "\n" for row in rows))
    return path


def write_quoted(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """The former form: (id, text, relation code), everything quoted, quotes escaped by a backslash."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False, lineterminator="\n")
        writer.writerow(["tweet_id", "user_id", "tweet", *LABEL_COLUMNS])
        for tweet_id, text, code in rows:
            writer.writerow([tweet_id, "99", text, *labels(code).split(",")])
    return path


def codes(path: Path) -> list[str]:
    read = read_itr_labels(path)
    return [f"{t}{i}" for t, i in zip(read.text, read.image, strict=True)]


def write_list(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
