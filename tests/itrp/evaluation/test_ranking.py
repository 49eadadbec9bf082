"""Areas and rank correlations by hand and against scikit-learn and scipy; what is not defined is said, not guessed."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from itrp.errors import DataError
from itrp.evaluation.ranking import Ranking, format_rankings, measure_area, measure_correlation
from itrp.labels import Task

LABELS = np.array([0, 0, 1, 1, -1])
PROBABILITIES = np.array([0.1, 0.4, 0.35, 0.8, 0.9])


def area(labels: object, probabilities: object) -> Ranking:
    given = None if probabilities is None else np.array(probabilities, dtype=np.float32)
    return measure_area("model/1", Task.TEXT, np.array(labels), given)


def correlation(ratings: object, probabilities: object) -> Ranking:
    given = None if probabilities is None else np.array(probabilities, dtype=np.float32)
    return measure_correlation("model/1", Task.TEXT, np.array(ratings, dtype=np.float32), given)


def test_an_area_by_hand() -> None:
    # of the pairs (0.35, 0.1), (0.35, 0.4), (0.8, 0.1), (0.8, 0.4) three are the right way round; the unlabelled one is out
    found = area(LABELS, PROBABILITIES)
    assert (found.system, found.task, found.measure) == ("model/1", Task.TEXT, "auc")
    assert (found.value, found.n) == (0.75, 4)
    assert found.low <= found.value <= found.high
    assert area([0, 1, 0, 1], [0.5, 0.5, 0.2, 0.5]).value == 0.75  # ties: (0.5 + 1 + 0.5 + 1) / 4


def test_a_correlation_by_hand() -> None:
    # ranks 1 2 3 4 and 1 3 2 4: 1 - 6 (0 + 1 + 1 + 0) / (4 * 15) = 0.8; the pair without a rating is out
    found = correlation([1, 2, 3, 4, np.nan], [0.1, 0.3, 0.2, 0.4, 0.9])
    assert found.value == pytest.approx(0.8)
    assert (found.measure, found.n) == ("spearman", 4)
    assert correlation([1, 2, 3], [0.9, 0.5, 0.1]).value == pytest.approx(-1)


@pytest.mark.parametrize("seed", range(3))
def test_as_scikit_learn_and_scipy_with_many_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 8, 200) / 8
    labels = rng.integers(0, 2, 200)
    ratings = rng.integers(3, 13, 200) / 3
    assert area(labels, probabilities).value == pytest.approx(roc_auc_score(labels, probabilities))
    assert correlation(ratings, probabilities).value == pytest.approx(spearmanr(ratings, probabilities)[0])


def test_intervals_are_those_of_resampled_rows() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 300)
    probabilities = np.clip(0.3 * labels + 0.7 * rng.random(300), 0, 1).astype(np.float32)
    found = area(labels, probabilities)
    again = np.random.default_rng(0)
    drawn = [again.integers(0, 300, 300) for _ in range(1000)]
    by_hand = np.quantile([roc_auc_score(labels[rows], probabilities[rows]) for rows in drawn], (0.025, 0.975))
    np.testing.assert_allclose((found.low, found.high), by_hand, atol=1e-9)
    assert area(labels, probabilities) == found
    ratings = labels + rng.random(300)
    rank = correlation(ratings, probabilities)
    by_hand = np.quantile([spearmanr(ratings[rows].astype(np.float32), probabilities[rows])[0] for rows in drawn],
                          (0.025, 0.975))  # fmt: skip
    np.testing.assert_allclose((rank.low, rank.high), by_hand, atol=1e-6)


@pytest.mark.parametrize(
    "found",
    [
        area([0, 1, 1], [0.5, 0.5, 0.5]),
        area([0, 1, 1], [0.5, np.nan, 0.2]),
        area([0, 1, 1], None),
        area([1, 1, -1], [0.1, 0.2, 0.3]),
        area([-1, -1, -1], [0.1, 0.2, 0.3]),
        correlation([1, 2, 3], [0.5, 0.5, 0.5]),
        correlation([1, 2, 3], None),
        correlation([2, 2, 2], [0.1, 0.2, 0.3]),
        correlation([np.nan, np.nan, np.nan], [0.1, 0.2, 0.3]),
        correlation([1, np.nan, np.nan], [0.1, 0.2, 0.3]),
    ],
)
def test_what_is_not_defined_is_a_dash(found: Ranking) -> None:
    assert not found.is_defined
    assert np.isnan([found.low, found.high]).all()
    cells = format_rankings([found]).splitlines()[1].split()
    assert cells.count("-") == 2


def test_a_missing_probability_of_a_pair_without_label_does_not_matter() -> None:
    assert area([0, 1, -1], [0.1, 0.9, np.nan]).value == 1


def test_other_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="expected one probability a pair, found 2 of 3 pairs"):
        area([0, 1, 1], [0.1, 0.2])


def test_the_table() -> None:
    rankings = [
        Ranking("itrp-text-task/2", Task.TEXT, "auc", 0.8312, 0.8, 0.8649, 120),
        Ranking("itrp-text-task/2", Task.TEXT, "spearman", 0.64, 0.5555, 0.7, 99),
    ]
    assert format_rankings(rankings).splitlines() == [
        "system            task  measure                value   95 % interval  pairs",
        "itrp-text-task/2  text  AUC                    0.831  0.800 to 0.865    120",
        "itrp-text-task/2  text  Spearman with ratings  0.640  0.555 to 0.700     99",
    ]
    assert format_rankings([]) == ""
