"""Tweets cut into words, for vectors that were trained on whole words.

The kinds of words and the names of their placeholders are those of the GloVe Twitter vectors (Pennington et al. 2014), whose
training text had `<url>` for every link, `<user>` for every mention, `<number>` for every number and so on.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_EYES, _NOSE = "[8:=;]", "['`-]?"
_TOKEN = re.compile(
    rf"""
    (?P<url>https?:/\S*|https?:?…|www\.\S+)                        # also http:/… where a retweet was cut off
    | (?P<user>@\w+)
    | (?P<hashtag>\#\w+)
    | (?P<number>(?<!\w)[-+]?\d+(?:[.,:]\d+)*(?!\w))                # 7, -3.5, 1,000, 10:30
    | (?P<smile>{_EYES}{_NOSE}[)D]+(?!\w)|(?<!\w)\(+{_NOSE}{_EYES})
    | (?P<lolface>{_EYES}{_NOSE}[pP]+(?!\w))
    | (?P<sadface>{_EYES}{_NOSE}\(+|(?<!\w)\)+{_NOSE}{_EYES})
    | (?P<neutralface>{_EYES}{_NOSE}[/|*](?![/\w]))
    | (?P<heart><3+)
    | (?P<word>\w+(?:['’-]\w+)*)                                    # also don't and well-known
    | (?P<mark>\.{{2,}}|[\U0001f1e6-\U0001f1ff]{{2}}                  # dots, flag
        |\S(?:[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]|\u200d\S)*)        # any other character, with what is joined to it
    """,
    re.VERBOSE,
)
_NO_PLACEHOLDER = ("word", "mark")
"""Kinds without a placeholder."""


class TweetWord(NamedTuple):
    """A word of a tweet as it stands there, and its kind: a group of the pattern above."""

    text: str
    kind: str


def split_tweet(text: str) -> list[TweetWord]:
    """The words of a tweet in their order, nothing left out but white space.

    A word is, whatever comes first: a link; a mention; a hashtag; a number; an emoticon; letters and digits with inner
    apostrophes and hyphens; a run of dots; a flag; any other single character, an emoji together with its colour variant,
    skin tone and what a zero-width joiner joins to it. The text is composed first (NFC), so that an accent is part of its
    letter; a script that is written without spaces stays a run.
    """
    composed = unicodedata.normalize("NFC", text)
    return [TweetWord(match.group(), str(match.lastgroup)) for match in _TOKEN.finditer(composed)]


def spellings(word: TweetWord) -> Iterator[str]:
    """What a word may be called in a vocabulary, the first that is there to be taken.

    As flair looks words up (the paper's code uses its Twitter vectors): as it stands; in lower case; with # for each digit;
    with 0 for each digit. Then, which flair does not: a curly apostrophe as a straight one, a hashtag without its mark, an
    emoji without what modifies it, and the placeholder of the kind, `<url>` for a link.
    """
    lower = word.text.lower()
    yield word.text
    yield lower
    yield re.sub(r"\d", "#", lower)
    yield re.sub(r"\d", "0", lower)
    yield lower.replace("’", "'")
    if word.kind == "hashtag":
        yield lower[1:]
    if word.kind == "mark":
        yield lower[0]
    if word.kind not in _NO_PLACEHOLDER:
        yield f"<{word.kind}>"
