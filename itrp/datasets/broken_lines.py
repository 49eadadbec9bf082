"""Which lines of a text file look as if a line break inside a text made them two."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_LINK = re.compile(r"https?://\S+\W*$")
_SHORT = 0.75
"""A line shorter than this share of the median may be the first half of a text."""
_NAMED = 3
_SHOWN = 40


def describe_broken_lines(lines: Sequence[bytes | None]) -> str:
    """A clause that names the lines that most probably continue the one before, or says that none looks so."""
    found = find_broken_lines(lines)
    if not found:
        return "no line looks broken, so the last images may be missing"
    named = [f"line {number} ({_show(lines[number - 1])})" for number in found]
    return f"{' or '.join(named)} looks most like the rest of the text in the line before"


def find_broken_lines(lines: Sequence[bytes | None], most: int = _NAMED) -> list[int]:
    """1-based numbers of the lines that look most like the rest of the line before, the likeliest first.

    A line is suspected for what is rare in this very file: to begin in lower case, with a mark, or with another word than
    most; to be blank; to share a pair of quotes with the line before; to follow a line that is short, or that lacks the
    link most lines end in. The rarer all this together is, the likelier the line.
    """
    texts = [(line or b"").decode("utf-8", "replace") for line in lines]
    signs = _find_signs(texts)
    counts = Counter(sign for found in signs for sign in found)
    # what half of the lines show is this file's way of writing
    weights = {sign: math.log(len(texts) / count) for sign, count in counts.items() if count < len(texts) / 2}
    scores = {number: sum(weights.get(sign, 0.0) for sign in found) for number, found in enumerate(signs, start=1)}
    ordered = sorted((number for number in scores if scores[number] > 0), key=lambda number: -scores[number])
    return [number for number in ordered[:most] if scores[number] > scores[ordered[0]] / 2]


def _find_signs(texts: Sequence[str]) -> list[set[str]]:
    """What each line shows of a broken one; the first has no line before it."""
    usual = _find_usual_word(texts)
    short = _SHORT * statistics.median(map(len, texts)) if texts else 0
    signs: list[set[str]] = [set()]
    for before, text in pairwise(texts):
        begun, rest = text[:1], text.split(maxsplit=1)
        shown = {
            "blank": not text.strip(),
            "lower": begun.islower(),
            "mark": bool(begun) and not begun.isalnum() and begun not in "#@\"'“‘¡¿",
            "word": usual is not None and rest[:1] != [usual],
            "quotes": before.count('"') % 2 == 1 and text.count('"') % 2 == 1,
            "short": len(before) < short,
            "link": _LINK.search(before) is None,
        }
        signs.append({sign for sign, there in shown.items() if there})
    return signs


def _find_usual_word(texts: Sequence[str]) -> str | None:
    """The word that half of the lines begin with."""
    words = Counter(text.split(maxsplit=1)[0] for text in texts if text.strip())
    word, count = words.most_common(1)[0] if words else ("", 0)
    return word if 2 * count > len(texts) else None


def _show(line: bytes | None) -> str:
    text = (line or b"").decode("utf-8", "replace")
    return ascii(text[:_SHOWN])[1:-1] + ("…" if len(text) > _SHOWN else "") if text.strip() else "blank"
