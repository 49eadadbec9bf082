"""The guidelines that stand beside every question, in our own words, with drawn examples.

Source of the two questions: Vempala and Preotiuc-Pietro, "Categorizing and inferring the relationship between the text and
image of Twitter posts", ACL 2019. Every annotation keeps the version of the guidelines its person had before her.
"""

from dataclasses import dataclass

from itrp.labels import Task


@dataclass(frozen=True)
class Example:
    """A tweet of our own, drawn: a file of static/examples, what it shows, and what is right to answer, and why."""

    drawing: str
    alt: str
    text: str
    text_is_represented: bool
    image_adds: bool
    reason: str


@dataclass(frozen=True)
class Question:
    """What is asked for one task: the short form stands over the buttons, the rest beside them."""

    task: Task
    short: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    yes_key: str
    no_key: str


QUESTIONS = (
    Question(
        Task.TEXT,
        "Does the picture show what the text says?",
        (
            "A thing, person, place or event that the text names can be seen in the picture.",
            "Part of it is enough: of several things named, one that matters can be seen.",
        ),
        (
            "The text is a mood, a greeting, an opinion or a remark, and nothing it names is in the picture.",
            "The picture is about the same subject, but shows none of what the text says.",
        ),
        "f",
        "d",
    ),
    Question(
        Task.IMAGE,
        "Does the picture add to what the tweet says?",
        (
            "Without the picture you would know less, or would understand the tweet differently.",
            "Often: writing in the picture, a fact or a person the text leaves out, “this” or “look” that points at it.",
        ),
        (
            "Without the picture the tweet would say the same: the picture illustrates, decorates or repeats.",
            "A finer view of what the text says already (which apple, which dog) adds nothing by itself.",
        ),
        "j",
        "k",
    ),
)
"""In the order of the form. Keys lie under the same fingers on QWERTY, QWERTZ and AZERTY keyboards; index finger: yes."""

EXAMPLES = (
    Example(
        "dog.svg",
        "A brown dog on a meadow with a red rosette that says 1",
        "Our Bruno at the county show today!",
        True,
        True,
        "We see Bruno, and the rosette tells what the text does not: he won.",
    ),
    Example(
        "apple.svg",
        "A red apple on a wooden table",
        "A red apple on my desk. Lunch.",
        True,
        False,
        "The picture shows what the text says, and nothing more.",
    ),
    Example(
        "sign.svg",
        "A shop door with a sign: closed until 3 May",
        "Well, that was a walk for nothing.",
        False,
        True,
        "No walk can be seen; only the sign tells what happened.",
    ),
    Example(
        "flower.svg",
        "A pink flower before a plain background",
        "Good morning everybody, have a lovely Monday!",
        False,
        False,
        "A greeting with a decoration: the flower is not named and says nothing.",
    ),
    Example(
        "cake.svg",
        "A birthday cake with candles in the shape of the number 40",
        "Look what my sister baked for me!",
        True,
        True,
        "The cake is “what she baked”, and only the candles tell that it is a 40th birthday.",
    ),
    Example(
        "lake.svg",
        "A lake before mountains in sunshine",
        "The road to the lake is closed until Sunday.",
        True,
        False,
        "The lake is named and seen, so part of the text is shown; the news stands in the text alone.",
    ),
)

ADVICE = (
    "Answer for the tweet as a stranger would meet it: text and picture, nothing looked up.",
    "The two questions are independent: answer the second as if there were no first.",
    "Read writing in the picture; it is part of the picture.",
    "Hashtags and emojis are part of the text; a link is not.",
    "When you really cannot tell, say so: a guess costs more than a gap.",
)
