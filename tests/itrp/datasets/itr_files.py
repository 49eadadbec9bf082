"""ITR's label files in both published forms, and its list, written small."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from itrp.data.annotations import Annotations
from itrp.datasets.itr_corrections import Correction
from itrp.datasets.itr_labels import LABEL_COLUMNS, ItrLabels, read_itr_labels
from itrp.labels import RELATIONS, UNLABELLED, relation_code

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


def count_relations(labels: ItrLabels | Annotations, split: str | None = None) -> dict[str, int]:
    """Relation code -> number of rows that have one, of one split or of all."""
    chosen = (labels.text != UNLABELLED) & (labels.image != UNLABELLED) & (labels.split == split if split else True)
    pairs = zip(labels.text[chosen], labels.image[chosen], strict=True)
    return {**dict.fromkeys(RELATIONS, 0), **Counter(relation_code(text, image) for text, image in pairs)}


def count_changes(corrections: Sequence[Correction]) -> dict[str, int]:
    """How many corrections change the text label only, the image label only, and both."""
    names = {(True, False): "text", (False, True): "image", (True, True): "both"}
    return dict(
        Counter(names[each.before[0] != each.after[0], each.before[1] != each.after[1]] for each in corrections)
    )


def write_list(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
