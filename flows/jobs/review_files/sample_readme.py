"""What a person needs who labels in a spreadsheet: the guidelines of the page, what to write, and how it comes back."""

import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

from itrp.labels import GUIDELINE_VERSION, Task
from serving.review.guidelines import ADVICE, EXAMPLES, QUESTIONS

WIDTH = 110
QUEUES = {
    "random": "They were drawn at random, so your labels also tell how good the models are, and how many tweets of each kind "
    "there are. Answer all of them, the difficult ones too.",
    "least-certain": "They are those that the models are least certain of: good to learn from, not to measure with.",
    "disagree": "They are tweets that two models label differently: good to learn from, not to measure with.",
    "clusters": "They are twelve of each group that the models see: good to name the groups by, not to measure with.",
    "errors": "Somebody has labelled them, and an analysis doubts the label: look again.",
}
"""Why these tweets, by queue."""
COLUMNS = {Task.TEXT: "text_is_represented", Task.IMAGE: "image_adds"}
"""Where the answers go."""

OPENING = (
    "Open tweets.html in a browser: it shows each tweet with its picture and its number. Open tweets.csv beside it in a "
    "spreadsheet, where the column nr has the same number. There are two questions and a column for each: write 1 for yes and "
    "0 for no. A question mark says that you cannot tell; an empty cell is not answered yet. The column note is yours."
)
SAVING = (
    "Leave the columns nr, id and queue as they are. The ids are long numbers, which spreadsheets round: here they are written "
    'as formulas (="...") that keep every digit. Save the table as CSV in UTF-8 ("CSV UTF-8"), with the same columns. Then, on '
    "the machine that runs itrp:"
)
AGAIN = "You may import it again after more rows were filled in: what is known is not entered twice."


def write_readme(path: Path, queue: str, number: int, data: str, person: str) -> None:
    """Write the page of guidelines beside a sample."""
    command = shlex.join(["itrp", "import-labels", "tweets.csv", "--data", data, "--person", person])
    parts = [
        f"{number} tweets of the data set {data} to label",
        _fill(QUEUES[queue]),
        _fill(OPENING),
        *_tell_questions(),
        "In doubt\n" + "\n".join(_fill(each, "- ") for each in ADVICE),
        "Examples\n" + "\n".join(_tell_examples()),
        _fill(SAVING),
        f"  {command}",
        _fill(f"{AGAIN} (Guidelines {GUIDELINE_VERSION}.)"),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _tell_questions() -> Iterator[str]:
    for question in QUESTIONS:
        lines = [f"{COLUMNS[question.task]}: {question.short}"]
        lines += [_fill(" ".join(question.yes), "  1  "), _fill(" ".join(question.no), "  0  ")]
        yield "\n".join(lines)


def _tell_examples() -> Iterator[str]:
    for example in EXAMPLES:
        answers = (
            f"{COLUMNS[Task.TEXT]} {int(example.text_is_represented)}, {COLUMNS[Task.IMAGE]} {int(example.image_adds)}"
        )
        yield _fill(f'"{example.text}" with a picture of this: {example.alt}. {answers}. {example.reason}', "- ")


def _fill(text: str, mark: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False)
