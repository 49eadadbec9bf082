"""Texts of tweets: what is accepted, and the trailing link."""

import html
import re

from itrp.data.rejections import RejectedError

MAX_CHARACTERS = 25_000
"""X's longest post, in characters."""

_TRAILING_LINK = re.compile(r" http[s]?://t.co/\w+$")

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def unescape_once(text: str) -> str:
    """The text with its HTML entities as characters.

    X's API writes &, < and > as &amp;, &lt; and &gt;; pages and most scrapers give the characters. Nothing in a record
    tells for certain which it is, so every text is read as the API's: "&amp;lt;" is "&lt;", once. Whoever typed "&amp;"
    itself, and was scraped, is stored with "&". Only entities that end in a semicolon count: "?a=1&para=2" stays.
    """
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def check_text(value: object) -> str:
    """The text as it came. A text of only a link or only emoji is a tweet and accepted.

    Raises RejectedError: text_missing, text_not_utf8, text_too_long, text_with_nul or text_empty.
    """
    if isinstance(value, bytes):
        raise RejectedError("text_not_utf8", "expected UTF-8, found bytes that are not: save the file as UTF-8")
    if not isinstance(value, str):
        found = "none" if value is None else f"a {type(value).__name__}"
        raise RejectedError("text_missing", f"expected a text, found {found}")
    if len(value) > MAX_CHARACTERS:
        raise RejectedError("text_too_long", f"expected at most {MAX_CHARACTERS:,} characters, found {len(value):,}")
    if not is_utf8(value):
        raise RejectedError("text_not_utf8", "expected UTF-8, found half of a surrogate pair in the text")
    if "\0" in value:
        place = value.index("\0") + 1
        raise RejectedError("text_with_nul", f"expected a text without NUL, found one at character {place}")
    if not value.strip():
        raise RejectedError("text_empty", f"expected a text, found {len(value)} characters of white space")
    return value


def is_utf8(text: str) -> bool:
    """Whether the string can be written as UTF-8: false when it holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def strip_trailing_link(text: str) -> str:
    """Without the link to the tweet's own image that X puts at the end (the paper's optional cleaning)."""
    return _TRAILING_LINK.sub("", text)
