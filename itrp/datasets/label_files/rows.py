"""What a file of human labels says, row by row: answers, or why a row holds none."""

from dataclasses import dataclass

from itrp.labels import Task


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """One person's answer to one question about a tweet."""

    line: int
    """1-based, where the row ends in its file; the number of the row or element where a file has no lines."""
    tweet_id: str
    task: Task
    """Task.TEXT or Task.IMAGE."""
    value: int | None
    """0 or 1; None where the person passed the question over."""
    person: str | None = None
    """As the file names her; None where it does not."""
    queue: str | None = None
    """Of `itrp.datasets.label_files.columns.QUEUES`, where the file tells it."""
    seconds: float | None = None
    note: str = ""
    guideline: str | None = None
    """Version of the guidelines that the person had, where the file tells it."""
    is_decision: bool = False
    """Whether this settles the tweet, whatever others have said (Label Studio's ground truth)."""
    is_settled: bool = False
    """Whether it is what the tweet was taken to be, as `itrp export` writes it, and no one person's answer."""
    place: int = 0
    """0-based among several answers of one row: Label Studio's annotations of a task."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or one value of it, that says nothing: what was expected and what was found."""

    line: int
    told: str


LabelRow = HumanLabel | BadRow
