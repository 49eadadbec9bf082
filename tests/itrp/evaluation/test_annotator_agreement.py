"""Alpha of people's answers, worked out by hand."""

import numpy as np
import pytest

from itrp.errors import DataError
from itrp.evaluation.annotator_agreement import Grade, grade_alpha, krippendorff_alpha, measure_agreement
from itrp.evaluation.bootstrap import resampled_interval

Answer = tuple[str, str, int]


def answers(**items: str) -> list[Answer]:
    """One item an argument: a letter a person with her answer, as in t1="a1 b0"."""
    return [(item, told[0], int(told[1])) for item, given in items.items() for told in given.split()]


def measure(given: list[Answer], **options: int):  # type: ignore[no-untyped-def]
    items, people, values = zip(*given, strict=True) if given else ((), (), ())
    return measure_agreement(items, people, values, **options)


# Ragged: t1 has three answers, t2 to t4 two, t5 one (which does not count).
# Values of the four: 1 1 0 | 1 1 | 0 0 | 0 1: five 1, four 0, n = 9.
# Observed: pairs that differ, each item's divided by (answers - 1): t1 4/2 = 2, t4 2/1 = 2: 4/9. Expected: 2*5*4/(9*8) = 40/72.
RAGGED = answers(t1="a1 b1 c0", t2="a1 b1", t3="a0 c0", t4="b0 c1", t5="a1")


def test_alpha_of_a_ragged_table_by_hand() -> None:
    found = measure(RAGGED)
    assert found.alpha == pytest.approx(1 - (4 / 9) / (40 / 72))
    assert (found.items, found.answers) == (4, 9)
    assert found.grade is Grade.NOT_RELIABLE
    assert found.unanimous.value == 2 / 4
    assert found.sentence.startswith("alpha 0.20, 95 % interval ")
    assert found.sentence.endswith("4 items: not reliable.")


def test_krippendorffs_own_example() -> None:
    """His binary data of two observers and ten articles (2004, page 224): alpha is 0.095."""
    meg, owen = "0100000010", "1110010000"
    given = [(str(item), name, int(row[item])) for name, row in (("Meg", meg), ("Owen", owen)) for item in range(10)]
    assert measure(given).alpha == pytest.approx(0.095, abs=0.0005)


def test_each_person_beside_the_others() -> None:
    """a: t1 with b (same) and c (not), t2 with b, t3 with c. b: t1 with a and c, t2, t4. c: t1 twice, t3, t4."""
    a, b, c = measure(RAGGED).people
    assert [(each.person, each.answers, each.pairs) for each in (a, b, c)] == [("a", 4, 4), ("b", 3, 4), ("c", 3, 4)]
    assert [each.agreed for each in (a, b, c)] == [3 / 4, 2 / 4, 1 / 4]
    # Without c: t1 11, t2 11: one value only. Without a: t1 10, t4 01. Without b: t1 10, t3 00: values 1 0 0 0, observed 2/4,
    # expected 2*1*3/(4*3).
    assert c.alpha_without is None
    assert a.alpha_without == pytest.approx(1 - 1 / (2 * 2 * 2 / (4 * 3)))
    assert b.alpha_without == pytest.approx(1 - (2 / 4) / (6 / 12))


def test_one_who_answers_another_question_stands_out() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 80)
    given = [(str(item), name, int(truth[item] ^ (rng.random() < 0.05))) for name in "abc" for item in range(80)]
    given += [(str(item), "d", int(rng.integers(2))) for item in range(40)]
    found = measure(given)
    without = {each.person: each.alpha_without for each in found.people}
    assert max(without, key=lambda name: without[name]) == "d"
    assert without["d"] > found.alpha + 0.1
    assert min(found.people, key=lambda each: each.agreed).person == "d"


def test_the_interval_is_repeatable_and_narrows() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 200)
    given = [(str(item), name, int(truth[item] ^ (rng.random() < 0.1))) for item in range(200) for name in "ab"]
    found, again, other = measure(given, seed=1), measure(given, seed=1), measure(given, seed=2)
    assert (found.low, found.high) == (again.low, again.high) != (other.low, other.high)
    assert found.low < found.alpha < found.high
    few = measure(given[:80], seed=1)
    assert few.high - few.low > found.high - found.low


def test_the_interval_is_that_of_items_drawn_one_by_one() -> None:
    """Ragged answers of three people with three values, resampled the plain way with the package krippendorff."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 500)
    votes = np.stack([np.where(rng.random(500) < 0.7, truth, rng.integers(0, 3, 500)) for _ in range(3)], axis=1)
    given = rng.random((500, 3)) < 0.8
    item, person = np.nonzero(given)
    found = measure_agreement(item, person, votes[given], resamples=4000)
    counts = np.stack([((votes == value) & given).sum(axis=1) for value in range(3)], axis=1)
    counts = counts[counts.sum(axis=1) > 1]
    assert found.alpha == krippendorff_alpha(counts)
    plain = resampled_interval(lambda rows: krippendorff_alpha(counts[rows]), len(counts), seed=0, resamples=2000)
    assert (found.low, found.high) == pytest.approx(plain, abs=0.006)


@pytest.mark.parametrize(("n", "error", "alpha"), [(120, 0.1, 0.64)])
def test_the_interval_covers_the_truth(n: int, error: float, alpha: float) -> None:
    """Two people who err in e of two equally frequent classes differ in 2e(1 - e): alpha is 1 - 2e(1 - e) / 0.5."""
    assert alpha == pytest.approx(1 - 4 * error * (1 - error))
    rng = np.random.default_rng(20261130)
    covered = 0
    for _ in range(1000):
        truth = rng.integers(0, 2, n)
        votes = np.concatenate([truth ^ (rng.random(n) < error) for _ in range(2)])
        found = measure_agreement(np.tile(np.arange(n), 2), np.repeat(["a", "b"], n), votes, resamples=400)
        covered += found.low <= alpha <= found.high
    assert 930 <= covered <= 970


def test_where_nobody_answers_what_another_did() -> None:
    for given in ([], answers(t1="a1", t2="b0")):
        found = measure(given)
        assert (found.alpha, found.low, found.high, found.grade, found.unanimous) == (None,) * 5
        assert (found.items, found.answers) == (0, 0)
        assert found.sentence == (
            "No item has answers of two people: let a second person answer some of the items that one has answered."
        )
    assert [(each.pairs, each.agreed, each.alpha_without) for each in found.people] == [(0, None, None)] * 2


def test_where_all_answers_are_the_same() -> None:
    found = measure(answers(t1="a1 b1", t2="a1 b1", t3="a0"))
    assert (found.alpha, found.grade, found.items) == (None, None, 2)
    assert found.sentence.startswith(
        "All 4 answers about the 2 items that two people or more have answered are the same"
    )
    assert found.people[0].agreed == 1


def test_no_difference_on_few_items_is_no_proof() -> None:
    """Of ten items without a difference, z^2 / (10 + z^2) = 28 % could have one."""
    found = measure([(str(item), name, item % 2) for item in range(10) for name in "ab"])
    assert (found.alpha, found.grade, found.high) == (1, Grade.RELIABLE, 1)
    assert found.low < 0.8
    assert "people could differ about 28 % and none be seen" in found.sentence
    assert found.unanimous.low == pytest.approx(1 - 0.277533, abs=1e-6)


def test_an_interval_that_reaches_a_lower_grade_is_said_to() -> None:
    given = [(str(item), name, (item % 2) ^ (item < 4 and name == "b")) for item in range(40) for name in "ab"]
    found = measure(given)
    assert found.grade is Grade.RELIABLE
    assert found.low < 0.667
    assert found.sentence.endswith("reliable; the interval reaches down to not reliable.")


def test_krippendorffs_grades() -> None:
    found = [grade_alpha(alpha) for alpha in (1, 0.8, 0.799, 0.667, 0.666, -0.2)]
    assert found == ["reliable", "reliable", "tentative", "tentative", "not reliable", "not reliable"]


def test_what_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="several of b about the same item: keep her newest"):
        measure(answers(t1="a1 b0 b1"))
    with pytest.raises(DataError, match="found 2, 1 and 2 of them"):
        measure_agreement(["t1", "t2"], ["a"], [0, 1])
