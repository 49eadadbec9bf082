"""Ids that were rounded on the way, and genuine ones that only look a little like it."""

import csv
import json
import random
from pathlib import Path

import pytest

from itrp.data.rounded_ids import find_rounding
from itrp.datasets.synthetic.generate import generate_tweets

REAL = Path(__file__).parents[3].parent / "shared/data"


def draw_ids(count: int, *, busy: bool, since: int = 1_180_000_000_000 // 4) -> list[int]:
    """Ids made as the service makes them: time, worker, and a counter that is often zero where it is not busy."""
    dice = random.Random(7)
    counter = (lambda: dice.randrange(500)) if busy else (lambda: int(dice.expovariate(1.2)))
    return [((since + n * 977) << 22) | (dice.randrange(300, 400) << 12) | counter() for n in range(count)]


def round_to(digits: int, number: int) -> int:
    scale = 10 ** (len(str(number)) - digits)
    return number // scale * scale


RECENT = draw_ids(400, busy=True)
OLD = draw_ids(4000, busy=False, since=170_000_000_000)


@pytest.mark.parametrize("genuine", [RECENT, OLD], ids=["recent", "old"])
@pytest.mark.parametrize("kind", [str, int])
def test_genuine_ids_are_not_suspected(genuine: list[int], kind: type) -> None:
    assert find_rounding(map(kind, genuine)) is None
    assert all(find_rounding(map(kind, genuine[start : start + 5])) is None for start in range(0, len(genuine), 5))


@pytest.mark.parametrize("genuine", [RECENT, OLD], ids=["recent", "old"])
def test_what_a_spreadsheet_leaves(genuine: list[int]) -> None:
    found = find_rounding([str(round_to(15, number)) for number in genuine[:20]])
    assert (found.rounded, found.judged) == (20, 20)
    assert "found 20 of 20 with no digits after the 15th but zeros (a spreadsheet's), such as " in str(found)
    assert "export the ids again as text" in str(found)


def test_three_ids_of_19_digits_are_enough_and_two_are_not() -> None:
    ids = [f"{prefix}0000" for prefix in (129403047242783, 129403047242917, 129403047250131)]
    assert find_rounding(ids).rounded == 3
    assert find_rounding([*ids[:2], ids[0]]) is None


def test_what_javascript_leaves() -> None:
    found = find_rounding([round_to(17, number + 50) for number in RECENT])
    assert "after the 17th but zeros (JavaScript's)" in str(found)


@pytest.mark.parametrize("genuine", [RECENT, OLD], ids=["recent", "old"])
def test_what_a_float_leaves(genuine: list[int]) -> None:
    found = find_rounding([str(int(float(number))) for number in genuine])
    assert found.rounded == found.judged
    assert "int(float(id))" in str(found)


@pytest.mark.parametrize(
    "write",
    [lambda n: float(n), lambda n: f"{n:.5E}", lambda n: f"{n}.0", lambda n: f"{n / 1e17:.5f}e17".replace(".", ",")],
)
def test_ids_written_as_floats(write) -> None:
    found = find_rounding([write(number) for number in RECENT])
    assert "found 400 of 400 written as floats, such as " in str(found)


def test_a_few_floats_are_the_rows_own_business() -> None:
    assert find_rounding([*map(str, RECENT), "6.92094E+17", 1e18, None, ""]) is None


def test_a_half_rounded_file_is_found() -> None:
    mixed = [round_to(15, number) if row % 2 else number for row, number in enumerate(RECENT)]
    assert find_rounding(mixed).rounded == 200


@pytest.mark.parametrize(
    "ids",
    [
        [],
        [None, ""],
        range(20000),
        [f"{n}0000" for n in range(500)],
        ["t1000000000000000000"] * 9,
        [True, [1].__len__()],
    ],
)
def test_ids_that_are_not_judged(ids) -> None:
    assert find_rounding(ids) is None


@pytest.mark.parametrize("seed", [0, 1, 256, 4096])
def test_synthetic_ids_with_the_same_low_bits_are_genuine(seed: int) -> None:
    assert find_rounding(tweet.id for tweet in generate_tweets(20, seed)) is None


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout")
class TestReal:
    def test_published_ids_are_genuine(self) -> None:
        itr = [row[0] for row in csv.reader((REAL / "itr/textimage.csv").open(newline=""))][1:]
        news = [row["id"] for row in csv.DictReader((REAL / "news_tweets/tweets.csv").open(newline=""))]
        ltec = json.loads((REAL / "ltec/ltec-image-text-relation.json").read_text())
        for ids in (itr, news, [row["file_name"].partition(".")[0] for row in ltec]):
            assert find_rounding(ids) is None
            assert find_rounding(str(int(float(id_))) for id_ in ids if id_.isdigit()) is not None
            assert find_rounding(str(round_to(15, int(id_))) for id_ in ids if id_.isdigit()) is not None

    def test_the_rounded_column_of_ltec_is_found(self) -> None:
        rows = json.loads((REAL / "ltec/ltec-image-text-relation.json").read_text())
        assert "JavaScript's" in str(find_rounding(row["tweet_id"] for row in rows))
