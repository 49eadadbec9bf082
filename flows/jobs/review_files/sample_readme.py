"""What a person needs who labels in a spreadsheet: what is asked, what to write, and how it comes back."""

import shlex
import textwrap
from pathlib import Path

from itrp.labels import GUIDELINE_VERSION

QUEUES = {
    "random": "They were drawn at random, so your labels also tell how good the models are, and how many tweets of each kind "
    "there are. Answer all of them, the difficult ones too, or pass over them with a question mark.",
    "least-certain": "They are those that the models are least certain of: good to learn from, not to measure with.",
    "disagree": "They are tweets that two models label differently: good to learn from, not to measure with.",
    "clusters": "They are twelve of each group that the models see: good to name the groups by, not to measure with.",
    "errors": "Somebody has labelled them, and an analysis doubts the label: look again.",
}
"""Why these tweets, by queue."""

TEMPLATE = """\
{number} tweets of the data set {data} to label

{why}

Open tweets.csv in a spreadsheet. The column picture names the file to look at beside each text. Two questions, two columns:

text_is_represented: does the picture show what the text says?
  1   a thing, person, place or event that the text names can be seen in the picture; one of several that matters is enough
  0   the text is a mood, a greeting, an opinion or a remark, and nothing it names is in the picture

image_adds: does the picture add to what the tweet says?
  1   without the picture you would know less, or would understand the tweet differently
  0   without the picture the tweet would say the same: it illustrates, decorates or repeats

Write 1 or 0 (yes and no will do). A question mark passes over a question; an empty cell is not answered yet. The column note
is yours. Answer as a stranger who meets the tweet: nothing looked up. The two questions are independent of each other. Writing
in the picture is part of the picture; hashtags and emojis are part of the text. (Guidelines {version}.)

Leave the columns id and queue as they are. The ids are long numbers, which spreadsheets round: here they are written as
formulas (="...") that keep every digit. Save the table as CSV in UTF-8 (LibreOffice and Excel: "CSV UTF-8"), with the same
columns. Then, on the machine that runs itrp:

  itrp import-labels tweets.csv --data {data} --person {person}

It may be imported again after more rows were filled in: what is known is not entered twice.
"""


def write_readme(path: Path, queue: str, number: int, data: str, person: str) -> None:
    """Write the page of guidelines beside a sample."""
    why = textwrap.fill(QUEUES[queue], 120)
    named = {"data": shlex.quote(data), "person": shlex.quote(person)}
    text = TEMPLATE.format(number=number, why=why, version=GUIDELINE_VERSION, **named)
    path.write_text(text, encoding="utf-8")
