"""Wilson's intervals by hand."""

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from itrp.errors import DataError, WrongUseError
from itrp.evaluation.shares import Share, measure_share, wilson_interval

Z2 = 1.959963984540054**2


def test_forty_of_a_hundred() -> None:
    """(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), as published calculators have it: 0.3094 to 0.4980."""
    found = measure_share(40, 100)
    assert (found.value, found.n) == (0.4, 100)
    assert (found.low, found.high) == pytest.approx((0.309401, 0.497998), abs=1e-6)
    assert found.width == pytest.approx(found.high - found.low)


@pytest.mark.parametrize("n", [1, 10, 100])
def test_no_positive_and_all_positive_have_a_width(n: int) -> None:
    """Of 0 of n the upper end is z^2 / (n + z^2)."""
    none, every = measure_share(0, n), measure_share(n, n)
    assert (none.low, none.high) == pytest.approx((0, Z2 / (n + Z2)), abs=1e-12)
    assert (every.low, every.high) == pytest.approx((n / (n + Z2), 1), abs=1e-12)


def test_labels_of_a_quarter_of_the_collection_tell_more() -> None:
    """100 without replacement of 400 are worth 100 / (1 - 1/4) with replacement."""
    n = 400 / 3
    centre, half = 0.4 + Z2 / (2 * n), np.sqrt(Z2) * np.sqrt(0.24 / n + Z2 / (4 * n * n))
    low, high = (centre - half) / (1 + Z2 / n), (centre + half) / (1 + Z2 / n)
    assert (low, high) == pytest.approx((0.3208, 0.4848), abs=5e-5)
    found = measure_share(40, 100, population=400)
    assert (found.low, found.high) == (128 / 400, 194 / 400)  # the next whole tweets outside


@pytest.mark.parametrize(("population", "n"), [(12, 10), (100, 20), (1500, 100), (1500, 1400)])
def test_a_collections_share_is_covered(population: int, n: int) -> None:
    """Whichever share the collection has: exactly, by the masses of the hypergeometric distribution."""
    positives = np.arange(n + 1)
    found = [measure_share(int(count), n, population=population) for count in positives]
    ends = np.array([(each.low, each.high) for each in found])
    covered = []
    for share in range(0, population + 1, max(population // 100, 1)):
        masses = hypergeom.pmf(positives, population, share, n)
        inside = (ends[:, 0] <= share / population) & (share / population <= ends[:, 1])
        covered.append(masses[inside].sum())
    assert min(covered) > 0.92
    assert np.mean(covered) > 0.95


def test_what_is_seen_bounds_the_collection() -> None:
    """9 positives and 1 negative of 12: at least 9 of 12 are positive and at most 11."""
    found = measure_share(9, 10, population=12)
    assert (found.low, found.high) == (9 / 12, 11 / 12)
    assert measure_share(4, 10, population=10) == Share(0.4, 0.4, 0.4, 10)  # all are labelled: nothing is unsure


def test_many_shares_at_once_and_levels() -> None:
    low, high = wilson_interval(np.array([[0.0, 0.4], [1.0, 0.5]]), np.array([[10, 100], [10, 0]]))
    assert low[0, 1] == pytest.approx(0.309401, abs=1e-6)
    assert (low[1, 1], high[1, 1]) == (0, 1)  # no label, no knowledge
    assert high[0, 0] == pytest.approx(Z2 / (10 + Z2))
    assert (
        measure_share(40, 100, level=0.5).width
        < measure_share(40, 100).width
        < measure_share(40, 100, level=0.99).width
    )


def test_covers_as_often_as_it_says() -> None:
    """Brown, Cai and DasGupta: near 95 % on average over the shares, from 20 labels on; exactly, by the binomial's masses."""
    shares = np.linspace(0.05, 0.95, 91)[:, None]
    for n in (20, 100):
        positives = np.arange(n + 1)
        low, high = wilson_interval(positives / n, n)
        covered = (binom.pmf(positives, n, shares) * ((low <= shares) & (shares <= high))).sum(axis=1)
        assert covered.mean() == pytest.approx(0.952, abs=0.005)
        assert covered.min() > 0.91


def test_what_cannot_be() -> None:
    with pytest.raises(DataError, match="at least one, found 0 among 0"):
        measure_share(0, 0)
    with pytest.raises(DataError, match="found 3 among 2"):
        measure_share(3, 2)
    with pytest.raises(DataError, match="found 10 labels of 9"):
        measure_share(1, 10, population=9)
    with pytest.raises(WrongUseError, match=r"0\.95 for 95 %, found 95"):
        measure_share(1, 10, level=95)
