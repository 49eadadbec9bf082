"""Ids whose last digits a spreadsheet or a floating-point number has taken away."""

import re
from collections.abc import Iterable

from itrp.refusals import RefusedError

SPREADSHEET_DIGITS = 15
"""Digits a spreadsheet keeps; in the place of the others it writes zeros."""
FLOAT_DIGITS = 17
"""Digits that tell a double from its neighbours; JavaScript and pandas write zeros behind them."""
EVIDENCE = 12
"""Zeros that must have come together by chance before the ids of a batch are taken for rounded: one batch of 10^12."""
NEARLY_ALL = 0.95

_EXPONENT = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+")
_SEQUENCE = 4096
_BUSIEST = 64
_REMEDY = (
    "its last digits are lost and are not guessed; take id_str, or export the ids as text and do not open the file in a "
    "spreadsheet before"
)


def refuse_rounded(value: object) -> None:
    """Raise RefusedError, id_invalid, for an id that cannot be whole whatever stands beside it.

    That is a large float, a number in exponent form, and a JSON number of more than 15 digits whose digits behind the 15th are
    zeros, if it cannot be X's own either: of an id of X the lowest 12 bits count the tweets of one machine in one
    millisecond, so they are small. A whole id passes for rounded with a chance below 10^-4 (that of the zeros) times that
    of a count of 64 or more.
    """
    if isinstance(value, float) and abs(value) >= 10**SPREADSHEET_DIGITS:
        raise RefusedError(
            "id_invalid", f"expected the tweet's id, found the floating-point number {value!r}: {_REMEDY}"
        )
    if isinstance(value, str) and _EXPONENT.fullmatch(value.strip()):
        raise RefusedError(
            "id_invalid",
            f"expected the tweet's digits, found {value[:40]!r}: a spreadsheet rounded the id, {_REMEDY}",
        )
    if isinstance(value, bool) or not isinstance(value, int) or not 10**17 <= value < 10**20:
        return
    digits = str(value)
    if _zeros(digits) >= len(digits) - SPREADSHEET_DIGITS and value % _SEQUENCE >= _BUSIEST:
        raise RefusedError(
            "id_invalid",
            f"expected the tweet's digits, found {digits}, of which a spreadsheet kept the first 15: {_REMEDY}",
        )


def find_rounding(ids: Iterable[object]) -> str | None:
    """Why the ids of a batch are taken for rounded; None when they are not.

    ids: the values in the place of the ids, of one batch or its beginning: a file is rounded whole.

    Among whole ids a last digit is zero one time in ten. Taken for rounded are ids of 18 to 20 digits of which nearly all
    end in the zeros that 15 or 17 kept digits leave behind, when so many zeros come together by chance in less than one
    batch of 10^12 (EVIDENCE: three ids of a spreadsheet, six of JavaScript). Ids that somebody counted by hand
    (1500000000000000000, 1510000000000000000) have many more zeros than rounding leaves, and are no evidence.
    """
    long = [digits for digits in map(_digits, ids) if digits]
    rounded = [digits for digits in long if _zeros(digits) >= len(digits) - FLOAT_DIGITS]
    evidence = sum(min(_zeros(digits), len(digits) - SPREADSHEET_DIGITS) for digits in rounded)
    counted = sum(_zeros(digits) > len(digits) - SPREADSHEET_DIGITS + 2 for digits in rounded)
    if evidence < EVIDENCE or len(rounded) < NEARLY_ALL * len(long) or 2 * counted >= len(rounded):
        return None
    return (
        f"expected the tweets' digits, found zeros at the end of {len(rounded)} of the batch's first {len(long)} ids, as "
        f"in {rounded[0]}: a spreadsheet or a floating-point number rounded them; export the ids as text (id_str), and put "
        "the batch under another name"
    )


def is_long(value: object) -> bool:
    """Whether an id has so many digits that rounding can have touched it."""
    return _digits(value) is not None


def _digits(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 10**17 <= value < 10**20 else None
    if isinstance(value, str) and 18 <= len(value) <= 20 and value.isascii() and value.isdigit():
        return value
    return None


def _zeros(digits: str) -> int:
    return len(digits) - len(digits.rstrip("0"))
