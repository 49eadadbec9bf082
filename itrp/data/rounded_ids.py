"""Ids that a spreadsheet, a float or JavaScript rounded on the way: found in a batch, since one id alone rarely tells."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from itrp.data.rejections import RejectedError

IMPROBABLE = 1e-8
"""A batch counts as rounded when genuine ids look like it with at most this probability."""

SPREADSHEET_DIGITS = 15
"""Digits a spreadsheet keeps; in the place of the others it writes zeros."""
FLOAT_DIGITS = 17
"""Digits that tell a double from its neighbours; JavaScript and pandas write zeros behind them."""

_LEAST = 3
"""Rounded ids a batch must hold: fewer are told row by row, or prove nothing."""
_WRITTEN_SHARE = 0.9
"""Ids written as floats are rejected row by row anyway; with so many of them the column is at fault."""
_SHARE = 0.5
_EXACT_SHARE = 0.9
"""Genuine ids below which no more than this share are exact floats (70 % of those of 2012 to 2016, 1 % of later ones)."""
_SEQUENCE = 1 << 12
"""An id's lowest 12 bits are a counter that is often zero: such ids pass through a float unharmed."""
_WORKER = 1 << 22
_SMALLEST_JUDGED = 1 << 58
"""Ids from January 2013 on; from here a float keeps only multiples of 64."""

_BUSIEST = 64
"""Tweets of one machine in one millisecond: a count that no whole id of X has been seen with."""
_ROUND_BY_HAND = 2
"""Zeros beyond those of a spreadsheet; ids of which most have more were counted by somebody (1500000000000000000)."""

_EXPONENT = re.compile(r"\d+(?:[.,]\d+)?[eE]\+?\d+")
_FLOAT = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+|[+-]?\d+[.,]0*")
_DIGITS = re.compile(r"\d{16,20}")

_REMEDY = (
    "their last digits are lost and are not guessed: export the ids again as text (pandas: dtype=str; a spreadsheet: import "
    "the column as text; JavaScript and JSON: id_str). Ids of your own that really end so: put a letter before them"
)

_SINGLE_REMEDY = (
    "its last digits are lost and are not guessed; take id_str, or export the ids as text and do not open the file in a "
    "spreadsheet before"
)


@dataclass(frozen=True)
class Rounding:
    """What is wrong with a batch's ids."""

    rounded: int
    """Ids that show it, each counted once unless they are written as floats."""
    judged: int
    """Ids that could show it."""
    found: str
    """What they have in common."""
    example: str

    def __str__(self) -> str:
        return (
            f"expected the tweets' ids with all their digits, found {self.rounded} of {self.judged} {self.found}, such as "
            f"{self.example}: {_REMEDY}"
        )


def find_rounding(ids: Iterable[object]) -> Rounding | None:
    """How the ids of one batch or file were rounded; None when nothing shows it.

    ids: what stands in the place of the ids; a few hundred of them are enough, since a file is rounded whole.

    Found are:
    - floats, exponents and endings in .0, where they are nine of ten (a few are rejected row by row);
    - digits after the 15th that are zero, as spreadsheets leave them (ids of 19 digits end in 0000);
    - digits after the 17th that are zero, as JavaScript prints a float (ids of 19 digits end in 00);
    - ids that are all exact floats, as int(float(id)) leaves them.
    The last three are found when at least half of the ids show it and genuine ones would with a probability of at most
    IMPROBABLE. The bounds are cautious, because 70 % of the tweets of 2012 to 2016 have an id that 4096 divides: k zeros
    at the end count as a chance of 1 in 5^k, not 1 in 10^k, and exact floats count only beyond that share. Three ids of
    19 digits that end in 0000 are enough; ids of fewer than 16 digits are never judged, nor those that somebody counted by
    hand.
    """
    there = [value for value in ids if value is not None and value != ""]
    floats = [
        str(value) for value in there if isinstance(value, float) or (isinstance(value, str) and _is_written(value))
    ]
    if len(floats) >= max(_LEAST, _WRITTEN_SHARE * len(there)):
        return Rounding(len(floats), len(there), "written as floats", floats[0])
    numbers = sorted({int(value) for value in there if is_long(value)})
    if 2 * sum(_zeros(number) > _lost_digits(number) + _ROUND_BY_HAND for number in numbers) >= len(numbers):
        return None
    return (
        _find_zeros(numbers, SPREADSHEET_DIGITS, "with no digits after the 15th but zeros (a spreadsheet's)")
        or _find_zeros(numbers, FLOAT_DIGITS, "with no digits after the 17th but zeros (JavaScript's)")
        or _find_floats(numbers)
    )


def is_long(value: object) -> TypeGuard[str | int]:
    """Whether an id has so many digits that rounding can have touched it."""
    if isinstance(value, bool):
        return False
    return _DIGITS.fullmatch(value.strip() if isinstance(value, str) else str(value)) is not None


def reject_rounded(value: object) -> None:
    """Raise RejectedError, id_invalid, for an id that cannot be whole whatever stands beside it.

    That is a large float, a number in exponent form, and a JSON number of 18 digits or more whose digits behind the 15th are
    zeros, if it cannot be X's own either: of an id of X the lowest 12 bits count the tweets of one machine in one
    millisecond, so they are small. A whole id passes for rounded with a chance below 10^-4 (that of the zeros) times that
    of a count of 64 or more.
    """
    if isinstance(value, float) and abs(value) >= 10**SPREADSHEET_DIGITS:
        raise RejectedError(
            "id_invalid", f"expected the tweet's id, found the floating-point number {value!r}: {_SINGLE_REMEDY}"
        )
    if isinstance(value, str) and _EXPONENT.fullmatch(value.strip()):
        raise RejectedError(
            "id_invalid",
            f"expected the tweet's digits, found {value[:40]!r}: a spreadsheet rounded the id, {_SINGLE_REMEDY}",
        )
    if isinstance(value, bool) or not isinstance(value, int) or not 10**17 <= value < 10**20:
        return
    if _zeros(value) >= _lost_digits(value) and value % _SEQUENCE >= _BUSIEST:
        raise RejectedError(
            "id_invalid",
            f"expected the tweet's digits, found {value}, of which a spreadsheet kept the first 15: {_SINGLE_REMEDY}",
        )


def _zeros(number: int) -> int:
    digits = str(number)
    return len(digits) - len(digits.rstrip("0"))


def _lost_digits(number: int) -> int:
    """Those that a spreadsheet does not keep."""
    return len(str(number)) - SPREADSHEET_DIGITS


def _find_zeros(numbers: Sequence[int], kept: int, found: str) -> Rounding | None:
    judged = [number for number in numbers if len(str(number)) > kept]
    chances = [5.0 ** (kept - len(str(number))) for number in judged]
    return _decide(judged, lambda number: number % 10 ** (len(str(number)) - kept) == 0, chances, found)


def _find_floats(numbers: Sequence[int]) -> Rounding | None:
    """Ids whose counter is not zero, of which one in `spacing` is an exact float; else all ids, of which 70 % are.

    Where a generator gives every id the same low bits, these tell nothing.
    """
    found = "that are exact floats (int(float(id)) does this)"
    judged = [number for number in numbers if number >= _SMALLEST_JUDGED]
    if len({number % _WORKER for number in judged}) < _LEAST:
        return None
    counted = [number for number in judged if number % _SEQUENCE]
    chances = [4 / math.ulp(float(number)) for number in counted]
    return _decide(counted, _is_float, chances, found) or _decide(
        judged, _is_float, [_EXACT_SHARE] * len(judged), found
    )


def _is_written(value: str) -> bool:
    return _FLOAT.fullmatch(value.strip()) is not None or value == "nan"


def _is_float(number: int) -> bool:
    return int(float(number)) == number


def _decide(
    judged: Sequence[int], is_rounded: Callable[[int], bool], chances: Sequence[float], found: str
) -> Rounding | None:
    """Rounded where at least half of the ids show it and chance would not explain so many."""
    rounded = [number for number in judged if is_rounded(number)]
    if len(rounded) < max(_LEAST, _SHARE * len(judged)) or _bound_chance(len(rounded), chances) > IMPROBABLE:
        return None
    return Rounding(len(rounded), len(judged), found, str(rounded[0]))


def _bound_chance(hits: int, chances: Sequence[float]) -> float:
    """Upper bound (Chernoff, Hoeffding) of the probability of so many hits in independent trials with these chances."""
    trials = len(chances)
    share, expected = hits / trials, sum(chances) / trials
    if share <= expected:
        return 1.0
    divergence = share * math.log(share / expected)
    if hits < trials:
        divergence += (1 - share) * math.log((1 - share) / (1 - expected))
    return math.exp(-trials * divergence)
