import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from itrp.errors import DataError
from itrp.evaluation.bootstrap import bootstrap_interval, bootstrap_mean_interval, f1_from_confusion, paired_bootstrap

Labels = NDArray[np.int64]


def simulate(n: int, classes: int, accuracy: float, seed: int) -> tuple[Labels, Labels]:
    """Labels [n] and predictions [n] that are right about as often as `accuracy`."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=n)
    wrong = generator.integers(classes, size=n)
    return labels, np.where(generator.random(n) < accuracy, labels, wrong)


def count_f1(labels: Labels, predictions: Labels) -> float:
    """Weighted F1 straight from its definition; scikit-learn's is too slow for thousands of resamples."""
    total = 0.0
    for index in range(4):
        actual, predicted = labels == index, predictions == index
        support, hits = np.count_nonzero(actual), np.count_nonzero(actual & predicted)
        if hits:
            total += support * 2 * hits / (support + np.count_nonzero(predicted))
    return total / len(labels)


def resample_naively(labels: Labels, *predictions: Labels, seed: int, resamples: int) -> NDArray[np.float64]:
    """Weighted F1 [resamples, systems] the plain way: draw row numbers, count again."""
    generator = np.random.default_rng(seed)
    draws = (generator.integers(len(labels), size=len(labels)) for _ in range(resamples))
    return np.array([[count_f1(labels[rows], p[rows]) for p in predictions] for rows in draws])


def test_the_plain_count_is_scikit_learns() -> None:
    labels, predictions = simulate(90, 4, 0.5, seed=0)
    assert count_f1(labels, predictions) == pytest.approx(f1_score(labels, predictions, average="weighted"))


def test_weighted_f1_of_a_confusion_matrix_by_hand() -> None:
    # Class 0: tp 3, support 4, predicted 5 -> 6/9. Class 1: tp 4, support 6, predicted 5 -> 8/11.
    by_hand = (4 * 6 / 9 + 6 * 8 / 11) / 10
    assert f1_from_confusion(np.array([[3, 1], [2, 4]])) == pytest.approx(by_hand, abs=1e-15)


def test_weighted_f1_of_a_confusion_matrix_is_scikit_learns() -> None:
    labels, predictions = simulate(200, 4, 0.5, seed=3)
    predictions[predictions == 2] = 1  # a class that is never predicted
    confusion = np.zeros((4, 4))
    np.add.at(confusion, (labels, predictions), 1)
    expected = f1_score(labels, predictions, average="weighted", zero_division=0)
    assert f1_from_confusion(confusion) == pytest.approx(expected, abs=1e-14)


def test_a_class_nobody_has_or_predicts_weighs_nothing() -> None:
    assert f1_from_confusion(np.array([[5, 0, 0], [0, 0, 0], [0, 0, 5]])) == pytest.approx(1.0)


def test_confusion_matrices_are_counted_by_the_stack() -> None:
    stack = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[3, 1], [2, 4]]])
    np.testing.assert_allclose(f1_from_confusion(stack), [1.0, 0.0, (4 * 6 / 9 + 6 * 8 / 11) / 10])


def test_the_interval_is_that_of_resampled_rows() -> None:
    labels, predictions = simulate(150, 2, 0.5, seed=1)
    naive = np.quantile(resample_naively(labels, predictions, seed=2, resamples=4000)[:, 0], (0.025, 0.975))
    ours = bootstrap_interval(labels, predictions, seed=5, resamples=20000)
    np.testing.assert_allclose(ours, naive, atol=0.012)
    # The tolerance can tell: half as many pairs would be a different interval.
    halved = bootstrap_interval(labels[::2], predictions[::2], seed=5, resamples=20000)
    assert halved[1] - halved[0] > (ours[1] - ours[0]) + 0.02


def test_the_interval_holds_the_score_and_narrows_with_the_level() -> None:
    labels, predictions = simulate(300, 4, 0.6, seed=1)
    score = f1_score(labels, predictions, average="weighted")
    wide = bootstrap_interval(labels, predictions, seed=0, level=0.95)
    narrow = bootstrap_interval(labels, predictions, seed=0, level=0.5)
    assert wide[0] < narrow[0] < score < narrow[1] < wide[1]


def test_a_perfect_system_is_surely_perfect() -> None:
    labels = np.array([0, 1, 1, 0, 1, 2])
    assert bootstrap_interval(labels, labels, seed=0) == (1.0, 1.0)


def test_a_seed_gives_one_interval_and_leaves_the_global_generator_alone() -> None:
    labels, predictions = simulate(100, 2, 0.5, seed=1)
    before = str(np.random.get_state())
    first = bootstrap_interval(labels, predictions, seed=7)
    assert bootstrap_interval(labels, predictions, seed=7) == first
    assert bootstrap_interval(labels, predictions, seed=8) != first
    assert str(np.random.get_state()) == before


def test_the_paired_comparison_is_that_of_resampled_rows() -> None:
    labels, champion = simulate(150, 2, 0.4, seed=11)
    better = np.random.default_rng(12).random(150) < 0.15
    challenger = np.where(better, labels, champion)
    naive = resample_naively(labels, challenger, champion, seed=3, resamples=4000)
    differences = naive[:, 0] - naive[:, 1]
    ours = paired_bootstrap(labels, challenger, champion, seed=5, resamples=20000)
    np.testing.assert_allclose((ours.low, ours.high), np.quantile(differences, (0.025, 0.975)), atol=0.012)
    assert ours.difference == pytest.approx(
        f1_score(labels, challenger, average="weighted") - f1_score(labels, champion, average="weighted")
    )
    # Unpaired resampling would be much wider: the pairing is what is tested.
    unpaired = naive[:, 0] - np.random.default_rng(0).permutation(naive[:, 1])
    assert ours.high - ours.low < 0.75 * np.subtract(*np.quantile(unpaired, (0.975, 0.025)))


def test_the_probability_of_being_better_is_the_share_of_resamples_ahead() -> None:
    labels, champion = simulate(80, 2, 0.5, seed=21)
    _, challenger = simulate(80, 2, 0.5, seed=21)
    challenger[:6] = labels[:6]
    challenger[6:10] = 1 - labels[6:10]
    naive = resample_naively(labels, challenger, champion, seed=3, resamples=4000)
    ahead = (naive[:, 0] > naive[:, 1]).mean() + 0.5 * (naive[:, 0] == naive[:, 1]).mean()
    ours = paired_bootstrap(labels, challenger, champion, seed=5, resamples=20000).probability_better
    assert ours == pytest.approx(ahead, abs=0.04)
    assert 0.02 < ours < 0.98


def test_challenger_and_champion_exchanged_turn_the_comparison_round() -> None:
    labels, champion = simulate(200, 4, 0.4, seed=1)
    challenger = np.where(np.arange(200) < 40, labels, champion)
    there = paired_bootstrap(labels, challenger, champion, seed=0)
    back = paired_bootstrap(labels, champion, challenger, seed=0)
    assert there.difference > 0
    assert there.low > 0
    assert there.probability_better == 1.0
    assert back.difference == pytest.approx(-there.difference)
    assert back.probability_better == 0.0


def test_two_equal_systems_are_even() -> None:
    labels, predictions = simulate(60, 2, 0.5, seed=1)
    comparison = paired_bootstrap(labels, predictions, predictions, seed=0)
    assert (comparison.difference, comparison.low, comparison.high) == (0.0, 0.0, 0.0)
    assert comparison.probability_better == 0.5


@pytest.mark.parametrize("size", [0, 3])
def test_columns_that_do_not_match_are_refused(size: int) -> None:
    predictions = np.zeros(size, dtype=np.int64)
    labels = np.zeros(0 if size == 0 else 2, dtype=np.int64)
    with pytest.raises(DataError, match="as many predictions as labels and at least one, found"):
        bootstrap_interval(labels, predictions, seed=0)


def test_an_unlabelled_row_is_refused() -> None:
    with pytest.raises(DataError, match="class indices from 0 on, found -1: leave out unlabelled pairs"):
        paired_bootstrap(np.array([0, -1]), np.array([0, 1]), np.array([0, 1]), seed=0)


def test_the_mean_of_one_run_has_the_runs_interval() -> None:
    labels, predictions = simulate(150, 4, 0.5, seed=1)
    alone = bootstrap_interval(labels, predictions, seed=5, resamples=20000)
    np.testing.assert_allclose(
        bootstrap_mean_interval(labels, predictions[None], seed=2, resamples=4000), alone, atol=0.012
    )


def test_the_mean_of_several_runs_is_resampled_on_the_same_pairs() -> None:
    labels, first = simulate(150, 4, 0.5, seed=1)
    second, third = (simulate(150, 4, 0.4, seed=seed)[1] for seed in (2, 3))
    naive = resample_naively(labels, first, second, third, seed=3, resamples=4000).mean(axis=1)
    ours = bootstrap_mean_interval(labels, np.stack((first, second, third)), seed=5, resamples=4000)
    np.testing.assert_allclose(ours, np.quantile(naive, (0.025, 0.975)), atol=0.012)
    # The tolerance can tell: the mean of three runs that err apart is surer than one of them.
    assert ours[1] - ours[0] < np.subtract(*bootstrap_interval(labels, first, seed=5)[::-1]) - 0.024


def test_two_equal_runs_are_one_run() -> None:
    labels, predictions = simulate(100, 2, 0.6, seed=4)
    once = bootstrap_mean_interval(labels, predictions[None], seed=7)
    assert bootstrap_mean_interval(labels, np.stack((predictions, predictions)), seed=7) == once
    assert bootstrap_mean_interval(labels, predictions[None], seed=8) != once
    wide, narrow = (bootstrap_mean_interval(labels, predictions[None], seed=7, level=level) for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_class_only_the_runs_know_is_counted() -> None:
    """Labels 0 and 1, predictions 2: nothing is right, and perfect runs are surely perfect."""
    labels = np.array([0, 1, 1, 0])
    assert bootstrap_mean_interval(labels, np.full((2, 4), 2), seed=0) == (0.0, 0.0)
    assert bootstrap_mean_interval(labels, np.stack((labels, labels)), seed=0) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "runs", "why"),
    [
        ([0, 1], np.zeros((0, 2), dtype=np.int64), "expected predictions of at least one run, found none"),
        ([], np.zeros((1, 0), dtype=np.int64), "as many predictions as labels and at least one, found"),
        ([0, 1], np.zeros((2, 3), dtype=np.int64), "as many predictions as labels and at least one, found"),
        ([0, -1], np.zeros((1, 2), dtype=np.int64), "class indices from 0 on, found -1: leave out unlabelled pairs"),
        ([0, 1], np.full((1, 2), -1), "class indices from 0 on, found -1: leave out unlabelled pairs"),
    ],
    ids=["no run", "no pair", "other pairs", "an unlabelled pair", "a prediction that is none"],
)
def test_a_mean_of_runs_that_cannot_be_is_refused(labels: list[int], runs: Labels, why: str) -> None:
    with pytest.raises(DataError, match=why):
        bootstrap_mean_interval(np.array(labels, dtype=np.int64), runs, seed=0)
