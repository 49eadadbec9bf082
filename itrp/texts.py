"""Texts of tweets: what is accepted, and the trailing link."""

import re

from itrp.refusals import RefusedError

MAX_CHARACTERS = 25_000
"""X's longest post, in characters."""

_TRAILING_LINK = re.compile(r" http[s]?://t.co/\w+$")


def check_text(value: object) -> str:
    """The text as it came. A text of only a link or only emoji is a tweet and accepted.

    Raises RefusedError: text_missing, text_not_utf8, text_too_long, text_with_nul or text_empty.
    """
    if isinstance(value, bytes):
        raise RefusedError("text_not_utf8", "expected UTF-8, found bytes that are not: save the file as UTF-8")
    if not isinstance(value, str):
        found = "none" if value is None else f"a {type(value).__name__}"
        raise RefusedError("text_missing", f"expected a text, found {found}")
    if len(value) > MAX_CHARACTERS:
        raise RefusedError("text_too_long", f"expected at most {MAX_CHARACTERS:,} characters, found {len(value):,}")
    if not is_utf8(value):
        raise RefusedError("text_not_utf8", "expected UTF-8, found half of a surrogate pair in the text")
    if "\0" in value:
        place = value.index("\0") + 1
        raise RefusedError("text_with_nul", f"expected a text without NUL, found one at character {place}")
    if not value.strip():
        raise RefusedError("text_empty", f"expected a text, found {len(value)} characters of white space")
    return value


def is_utf8(text: str) -> bool:
    """Whether the string can be written as UTF-8: false when it holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def strip_trailing_link(text: str) -> str:
    """Without the link to the tweet's own picture that X puts at the end (the paper's optional cleaning)."""
    return _TRAILING_LINK.sub("", text)
