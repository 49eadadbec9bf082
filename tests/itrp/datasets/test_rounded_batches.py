"""Ids that lost their last digits."""

import random

import pytest

from itrp.data.rejections import RejectedError
from itrp.data.rounded_ids import find_rounding
from itrp.data.validation import check_id

DRAW = random.Random(5)
WHOLE = [(DRAW.randrange(2**38, 2**39) << 22) + (DRAW.randrange(1024) << 12) + DRAW.randrange(3) for _ in range(2000)]
"""Ids as X makes them: a time, a machine, and how many it made in that millisecond."""


def round_in_spreadsheet(value: int) -> str:
    digits = str(value)
    return digits[:15] + "0" * (len(digits) - 15)


def round_in_javascript(value: int) -> str:
    """As a double is written: its shortest digits, then zeros."""
    return str(int(f"{float(value)!r}".partition("e")[0].replace(".", "").ljust(len(str(value)), "0")))


@pytest.mark.parametrize(("spoil", "needed"), [(round_in_spreadsheet, 3), (round_in_javascript, 6)])
@pytest.mark.parametrize("kind", [str, int])
def test_rounded_batches_are_found(spoil: object, needed: int, kind: type) -> None:
    ids = [kind(spoil(value)) for value in WHOLE]  # type: ignore[operator]
    found = sum(find_rounding(ids[start : start + needed]) is not None for start in range(0, 1800, needed))
    assert found >= 0.95 * (1800 // needed)
    reason = find_rounding(ids[:250])
    assert reason is not None
    assert (reason.rounded, reason.judged) == (250, 250)
    assert "export the ids again as text" in str(reason)


def test_whole_batches_are_not() -> None:
    for size in (1, 3, 6, 50, 250):
        for start in range(0, 2000, size):
            assert find_rounding([str(value) for value in WHOLE[start : start + size]]) is None
    assert find_rounding([round_in_spreadsheet(WHOLE[0]), *map(str, WHOLE[1:20])]) is None
    assert find_rounding([round_in_spreadsheet(value) for value in WHOLE[:2]]) is None


def test_ids_counted_by_hand_are_no_evidence() -> None:
    assert find_rounding([str(15 * 10**17 + n * 10**16) for n in range(30)]) is None
    assert find_rounding([17 * 10**17 + n for n in range(30)]) is None
    assert find_rounding(["t1", None, 5, 1.5, True, ["x"], "12", "x" * 19]) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1294030472427830000, "of which a spreadsheet kept the first 15: its last digits are lost"),
        (1.294030472427835e18, "found the floating-point number 1.294030472427835e+18: its last digits are lost"),
        (1294030472427835393.0, "take id_str, or export the ids as text"),
        ("1.29403E+18", "a spreadsheet rounded the id, its last digits are lost"),
        ("1,29403E+18", "a spreadsheet rounded the id, its last digits are lost"),
        (-5, "found the negative number -5"),
        ("-5", "found the negative number -5"),
        (1.5, "expected the id as a string, found a float"),
        (float("nan"), "expected the id as a string, found a float"),
    ],
)
def test_single_ids_that_cannot_be_whole(value: object, said: str) -> None:
    with pytest.raises(RejectedError) as caught:
        check_id(value)
    assert caught.value.code == "id_invalid"
    assert said in caught.value.reason


@pytest.mark.parametrize(
    "value", [1294030472427835393, "1294030472427830000", 1500000000000000000, 1050118621198921728, "a-5", 10**16]
)
def test_single_ids_that_may_be_whole(value: object) -> None:
    assert check_id(value) == str(value)


def test_hardly_a_whole_number_passes_for_rounded() -> None:
    assert [check_id(value) for value in WHOLE] == [str(value) for value in WHOLE]
    # Of X's ids that end in so many zeros by chance, the count of the millisecond tells that they are whole.
    chance = [value for value in range(WHOLE[0] >> 12 << 12, WHOLE[0] + 4096 * 10**4, 4096) if value % 10**4 == 0]
    assert chance
    assert [check_id(value) for value in chance] == [str(value) for value in chance]
