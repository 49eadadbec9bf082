import numpy as np
import pytest
from numpy.typing import NDArray

from itrp.clustering.sampling import Strategy, balance_indices
from itrp.errors import DataError

STRATEGIES: tuple[Strategy, ...] = ("under", "over", "combination", "random")


def make_labels(*sizes: int) -> NDArray[np.int64]:
    """Pseudo-labels with the given cluster sizes, in mixed order."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(labels)


@pytest.mark.parametrize(
    ("strategy", "sizes", "expected"),
    [
        ("under", (70, 30), [30, 30]),
        ("over", (70, 30), [70, 70]),
        ("combination", (70, 30), [50, 50]),
        ("random", (70, 30), [70, 30]),
        ("under", (10, 20, 31, 40), [10, 10, 10, 10]),
        ("over", (10, 20, 31, 40), [40, 40, 40, 40]),
        ("combination", (10, 20, 31, 40), [25, 25, 25, 25]),  # 101 // 4
        ("random", (10, 20, 31, 40), [10, 20, 31, 40]),
        ("combination", (25, 25, 10, 40), [25, 25, 25, 25]),
        ("under", (5, 5), [5, 5]),
        ("over", (5, 5), [5, 5]),
        ("combination", (5, 5), [5, 5]),
        ("combination", (1, 8), [4, 4]),
        ("combination", (1, 2), [1, 1]),
    ],
)
def test_cluster_sizes_after_balancing(strategy: Strategy, sizes: tuple[int, ...], expected: list[int]) -> None:
    labels = make_labels(*sizes)
    indices = balance_indices(labels, strategy, seed=0)
    assert np.bincount(labels[indices]).tolist() == expected
    assert indices.dtype == np.int64


def test_over_keeps_every_pair_and_doubles_only_the_smaller_cluster() -> None:
    labels = make_labels(70, 30)
    indices, copies = np.unique(balance_indices(labels, "over", seed=0), return_counts=True)
    np.testing.assert_array_equal(indices, np.arange(100))
    assert set(copies[labels == 0].tolist()) == {1}
    assert copies[labels == 1].sum() == 70


def test_under_takes_no_pair_twice_and_the_whole_smallest_cluster() -> None:
    labels = make_labels(70, 30)
    indices = balance_indices(labels, "under", seed=0)
    assert len(set(indices.tolist())) == len(indices) == 60
    assert set(np.flatnonzero(labels == 1).tolist()) <= set(indices.tolist())


def test_combination_cuts_without_repeating_and_raises_without_losing() -> None:
    labels = make_labels(70, 30)
    indices = balance_indices(labels, "combination", seed=0)
    cut, raised = indices[labels[indices] == 0], indices[labels[indices] == 1]
    assert len(set(cut.tolist())) == 50
    assert set(raised.tolist()) == set(np.flatnonzero(labels == 1).tolist())


def test_random_leaves_everything_as_it_is() -> None:
    np.testing.assert_array_equal(balance_indices(make_labels(7, 3), "random", seed=0), np.arange(10))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_indices_ascend(strategy: Strategy) -> None:
    indices = balance_indices(make_labels(20, 60, 40), strategy, seed=1)
    assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize("strategy", ["under", "over", "combination"])
def test_a_seed_gives_one_draw_and_leaves_the_global_generator_alone(strategy: Strategy) -> None:
    labels = make_labels(70, 30)
    before = str(np.random.get_state())
    first = balance_indices(labels, strategy, seed=5)
    np.testing.assert_array_equal(balance_indices(labels, strategy, seed=5), first)
    assert balance_indices(labels, strategy, seed=6).tolist() != first.tolist()
    assert str(np.random.get_state()) == before


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_single_cluster_is_left_whole(strategy: Strategy) -> None:
    assert balance_indices(np.array([1, 1, 1]), strategy, seed=0).tolist() == [0, 1, 2]


def test_a_cluster_number_that_does_not_occur_does_not_count() -> None:
    labels = np.array([0, 0, 0, 3])
    indices = balance_indices(labels, "combination", seed=0)
    assert labels[indices].tolist().count(0) == labels[indices].tolist().count(3) == 2


def test_nothing_to_balance_and_another_strategy_are_refused() -> None:
    with pytest.raises(DataError, match="at least one pair, found none: use a larger subset"):
        balance_indices(np.array([], dtype=np.int64), "under", seed=0)
    with pytest.raises(DataError, match="under, over, combination or random, found 'smote'"):
        balance_indices(np.array([0, 1]), "smote", seed=0)  # type: ignore[arg-type]
