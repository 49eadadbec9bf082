"""A recipe: everything a pair says and shows, in words, and the relation that follows from it by rule."""

import re
from dataclasses import dataclass

from itrp.datasets.synthetic.boards import Board
from itrp.datasets.synthetic.vocabulary import FUNCTION_WORDS, SETTING_WORDS

_IGNORED = re.compile(r"https?://\S+|@\w+")
_WORD = re.compile(r"[a-z]{3,}|\d+")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a tweet says, and what its image shows: a setting, a board (in one or not), or a backdrop."""

    text: str
    setting: str | None = None
    """A setting of `scenes.SETTINGS`."""
    things: tuple[str, ...] = ()
    """Names of the things drawn in the setting."""
    board: Board | None = None
    """What is lettered."""
    backdrop: str | None = None
    """Kind of an image that shows nothing: plain, patterned or busy."""

    @property
    def said(self) -> frozenset[str]:
        """Content words of the text."""
        return content_words(self.text)

    @property
    def told_by_image(self) -> frozenset[str]:
        """What the image tells: names of the things drawn, content words lettered."""
        lettered = content_words(" ".join((self.board.title, *self.board.lines))) if self.board else frozenset()
        return lettered | frozenset(self.things)

    @property
    def seen(self) -> frozenset[str]:
        """Every word that the image shows: what it tells, and the words for its setting."""
        return self.told_by_image | frozenset(SETTING_WORDS[self.setting] if self.setting else ())

    @property
    def text_is_represented(self) -> int:
        """1 when a content word of the text is to be seen in the image."""
        return int(bool(self.said & self.seen))

    @property
    def image_adds(self) -> int:
        """1 when the image tells something that the text does not say."""
        return int(bool(self.told_by_image - self.said))


def content_words(text: str) -> frozenset[str]:
    """Lower-case content words and numbers of a text, without links, handles and function words."""
    words = _WORD.findall(_IGNORED.sub(" ", text.lower()))
    return frozenset(words) - FUNCTION_WORDS
