"""What people write for an answer: 0 and 1, yes and no, true and false, the classes' names."""

import math
import re
from typing import Any, Final, Literal

from itrp.data.validation import check_id
from itrp.datasets.table_files import unwrap_id
from itrp.labels import CLASS_NAMES, PERSON_WORDS, RELATIONS, Task

SKIPPED: Final = "skipped"
Given = int | Literal["skipped"]
"""0 or 1; SKIPPED, where a person passed the question over."""
Answer = Given | None
"""None, where nothing is written."""

_WORDS: dict[str, int] = {
    **dict.fromkeys(("1", "yes", "y", "true", "t", "wahr", "vrai", "verdadero", "vero"), 1),
    **dict.fromkeys(("0", "no", "n", "false", "f", "falsch", "faux", "falso"), 0),
}
"""A spreadsheet writes TRUE and FALSE in its user's language."""
_NOTHING = {"", "na", "n/a", "nan", "none", "null", "-", "-1", "\\n", "<na>"}
_SKIPS = {"skip", "skipped", "?", "unsure", "unclear"}
_EXAMPLES = {
    Task.TEXT: "represented or not-represented",
    Task.IMAGE: "adds or does-not-add",
    Task.IMAGE_TEXT: "00, 01, 10 or 11 (as text: a spreadsheet drops a zero in front)",
}
LONGEST_EXACT = 15
"""Digits that a spreadsheet's number keeps."""


def read_answer(task: Task, value: Any) -> Answer:
    """The answer a cell holds. Raises ValueError, saying what was expected and what was found."""
    written = _write(value)
    if written in _NOTHING:
        return None
    if written in _SKIPS:
        return SKIPPED
    known = _NAMES[task] if task is Task.IMAGE_TEXT else {**_WORDS, **_NAMES[task]}
    found = known.get(written, known.get(_simplify(written)))
    if found is not None:
        return found
    plain = "" if task is Task.IMAGE_TEXT else "1 or 0, yes or no, "
    raise ValueError(f"expected {plain}{_EXAMPLES[task]}, or nothing, found {str(value)[:40]!a}")


def read_id(value: Any) -> str:
    """The tweet's id in whatever keeps a spreadsheet from rounding it. Raises RejectedError as `check_id` does."""
    value = unwrap_id(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**LONGEST_EXACT:
        value = int(value)
    if isinstance(value, str):
        digits = value.removesuffix(".0")
        value = digits if digits.isdecimal() and len(digits) <= LONGEST_EXACT else value
    return check_id(value)


def read_seconds(value: Any) -> float | None:
    """Seconds an answer took; None for what is no such number."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _write(value: Any) -> str:
    """A cell in small letters, whole numbers without a fraction."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    written = "" if value is None else str(unwrap_id(value)).strip().casefold()
    return re.sub(r"^([01])[.,]0+$", r"\1", written)


def _simplify(name: str) -> str:
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _name_classes(task: Task) -> dict[str, int]:
    words = (*CLASS_NAMES[task], *PERSON_WORDS[task], *(RELATIONS.values() if task is Task.IMAGE_TEXT else ()))
    size = len(CLASS_NAMES[task])
    return {_simplify(word): place % size for place, word in enumerate(words)}


_NAMES = {task: _name_classes(task) for task in Task}
"""Task -> simplified name -> class index."""
