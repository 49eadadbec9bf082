"""Templates and what they need to say things plainly: numbers, times, relations, strangers' texts made harmless."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from itrp.labels import RELATIONS

FOLDER = Path(__file__).parent
CARD_CHARACTERS = 280
"""Of a tweet among many; the rest is one click away."""
TWEET_CHARACTERS = 1_200
"""Of a tweet alone, before "show all"."""
LARGEST_STACK = 4
"""Marks on one letter: more make towers that hide other lines; no writing needs them."""

RELATION_WORDS = {
    "00": "neither shown nor adding",
    "01": "not shown, picture adds",
    "10": "shown, picture adds nothing",
    "11": "shown, and picture adds",
}
"""The relations in a few words, for tags; in full: `itrp.labels.RELATIONS`."""


def make_environment() -> Environment:
    """The templates of this room. Everything is escaped; what is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=format_percent,
        whole=format_whole,
        moment=format_moment,
        clean=clean_words,
        cut=cut_words,
        yesno=say_yes_no,
        in_words=RELATION_WORDS.__getitem__,
    )
    environment.globals.update(RELATIONS=RELATIONS, RELATION_WORDS=RELATION_WORDS, link=make_link)
    return environment


def format_percent(share: float, digits: int = 0) -> str:
    """A share as "12 %", which no line break parts."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def format_whole(number: int) -> str:
    """A count with thousands parted: 1,234."""
    return f"{number:,}"


def format_moment(moment: datetime | None) -> str:
    """A day and a minute in UTC; "no date" for None."""
    return "no date" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def say_yes_no(value: int | None) -> str:
    """An answer in a word."""
    return "no answer" if value is None else "yes" if value else "no"


def clean_words(text: str) -> str:
    """A stranger's text as it may stand on a page: no control characters, no towers of marks.

    Marks that turn the direction of writing stay: the element around the text keeps their effect inside.
    """
    kept, stack = [], 0
    for letter in text:
        stack = stack + 1 if unicodedata.combining(letter) else 0
        if stack > LARGEST_STACK:
            continue
        kept.append("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" else letter)
    return "".join(kept)


def cut_words(text: str, longest: int = CARD_CHARACTERS) -> tuple[str, str]:
    """The text's beginning and its rest, cut at a gap where there is one; the rest is empty for a short text."""
    if len(text) <= longest:
        return text, ""
    gap = max(text.rfind(" ", longest // 2, longest), text.rfind("\n", longest // 2, longest))
    place = gap if gap > 0 else longest
    return text[:place], text[place:]


def make_link(path: str, /, *parts: str, **query: Any) -> str:
    """An address of ours: parts of the path and values of the query are escaped, empty values left out."""
    address = "/".join([path.rstrip("/"), *(quote(part, safe="") for part in parts)]) or "/"
    kept = {name.rstrip("_"): value for name, value in query.items() if value not in (None, "", False)}
    return f"{address}?{urlencode(kept)}" if kept else address


def show(environment: Environment, template: str, values: Mapping[str, Any]) -> str:
    """A page's HTML."""
    return environment.get_template(template).render(**values)
