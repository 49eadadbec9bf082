"""From one record, a row's cells by role, to answers."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from itrp.data.rejections import RejectedError
from itrp.datasets.label_files.columns import ANSWERS, QUEUES
from itrp.datasets.label_files.rows import BadRow, HumanLabel, LabelRow
from itrp.datasets.label_files.values import SKIPPED, Answer, Given, read_answer, read_id, read_seconds
from itrp.labels import Task

MOST_CHARACTERS = 2000
"""Of a note."""


def read_answers(record: Mapping[str, Any], line: int, settled: Collection[Task] = ()) -> Iterator[LabelRow]:
    """The answers of a row, role -> cell; one bad value does not stop the row's others. A row without any answer is silent.

    settled: tasks whose cells are settled labels.
    """
    answers, faults = _collect(record)
    yield from (BadRow(line, fault) for fault in faults)
    if not answers:
        return
    try:
        tweet_id = read_id(record.get("id"))
    except RejectedError as error:
        yield BadRow(line, error.reason)
        return
    person, note, guideline = (read_text(record.get(role)) for role in ("person", "note", "guideline"))
    queue = read_queue(record.get("queue"))
    seconds = read_seconds(record.get("seconds"))
    for task, answer in answers.items():
        value = None if answer == SKIPPED else int(answer)
        told = (person or None, queue, seconds, note, guideline[:32] or None)
        yield HumanLabel(line, tweet_id, task, value, *told, is_settled=task in settled)


def read_queue(value: Any) -> str | None:
    """The queue's name; None for what is none."""
    written = read_text(value).casefold().replace(" ", "-").replace("_", "-")
    return written if written in QUEUES else None


def read_text(value: Any) -> str:
    """A cell as characters that every database keeps; bytes of an old code page are taken for Latin-1."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    written = str(value).encode("utf-8", "surrogateescape")
    try:
        text = written.decode()
    except UnicodeDecodeError:
        text = written.decode("latin-1")
    return text.replace("\0", "").strip()[:MOST_CHARACTERS]


def split_relation(answer: Answer) -> dict[Task, Answer]:
    """An answer about the relation 2*T + I as answers to both questions."""
    if answer is None or answer == SKIPPED:
        return {Task.TEXT: answer, Task.IMAGE: answer}
    return {Task.TEXT: int(answer) // 2, Task.IMAGE: int(answer) % 2}


def _collect(record: Mapping[str, Any]) -> tuple[dict[Task, Given], list[str]]:
    """Answers by task, and what is wrong with the other values."""
    answers: dict[Task, Answer] = {}
    faults = []
    for role, task in ANSWERS.items():
        if role not in record:
            continue
        try:
            answer = read_answer(task, record[role])
        except ValueError as error:
            faults.append(f"{role}: {error}")
            continue
        answers |= split_relation(answer) if task is Task.IMAGE_TEXT else {task: answer}
    return {task: answer for task, answer in answers.items() if answer is not None}, faults
