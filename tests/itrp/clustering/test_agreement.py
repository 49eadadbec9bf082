from itertools import permutations

import numpy as np
import pytest

from itrp.clustering.agreement import (
    agreement,
    align_clusters,
    cluster_balance,
    mean_confidence,
    mean_pairwise_agreement,
    unanimous_share,
)
from itrp.errors import DataError


def test_renamed_clusters_are_aligned_and_agree_fully() -> None:
    reference = np.array([0, 1, 2, 3, 0, 1])
    other = np.array([2, 0, 3, 1, 2, 0])
    assert align_clusters(reference, other, 4) == (1, 3, 0, 2)
    assert agreement(reference, other, 4) == 1.0


def test_agreement_counts_the_pairs_that_agree_after_alignment() -> None:
    reference = np.array([0, 0, 0, 1, 1])
    other = np.array([1, 1, 0, 0, 0])
    assert agreement(reference, other, 2) == pytest.approx(4 / 5)
    assert agreement(other, reference, 2) == pytest.approx(4 / 5)


def test_independent_halves_agree_by_half() -> None:
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2) == 0.5


def test_the_mean_goes_over_every_pair_of_runs() -> None:
    first, second = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    third = np.array([0, 1, 1, 1])
    # first-second 1, first-third 3/4, second-third 3/4.
    assert mean_pairwise_agreement([first, second, third]) == pytest.approx(2.5 / 3)
    assert mean_pairwise_agreement([first, second, third], k=4) == pytest.approx(2.5 / 3)


def test_fewer_than_two_runs_have_no_agreement() -> None:
    assert mean_pairwise_agreement([]) is None
    assert mean_pairwise_agreement([np.array([0, 1])]) is None
    assert unanimous_share([np.array([0, 1])]) is None


def test_all_agree_where_every_run_does_after_alignment() -> None:
    first = np.array([0, 0, 0, 1, 1, 1])
    second = np.array([1, 1, 0, 0, 0, 0])  # renamed 0 0 1 1 1 1: row 2 differs
    third = np.array([0, 0, 0, 0, 1, 1])  # row 3 differs
    # with first as the one to align with: rows 0, 1, 4, 5 of six
    assert unanimous_share([first, second, third]) == pytest.approx(4 / 6)
    assert mean_pairwise_agreement([first, second, third]) == pytest.approx((5 + 5 + 4) / 18)


def test_all_agree_over_four_clusters() -> None:
    first = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    second = np.array([2, 0, 3, 1, 2, 0, 3, 0])  # 2->0, 0->1, 3->2, 1->3: the last row differs
    third = np.array([3, 3, 1, 0, 3, 2, 1, 0])  # 3->0, 2->1, 1->2, 0->3: row 1 differs
    assert unanimous_share([first, second, third], k=4) == pytest.approx(6 / 8)


def test_the_order_of_the_runs_changes_nothing() -> None:
    """Aligned with the first (the second turned round), one row of five agrees everywhere; with another, two."""
    runs = [np.array([1, 1, 1, 0, 1]), np.array([1, 0, 0, 1, 1]), np.array([1, 0, 1, 1, 1])]
    assert {unanimous_share(order) for order in permutations(runs)} == {0.4}


def test_classes_are_compared_by_their_names() -> None:
    first, second, third = np.array([0, 1, 1, 1]), np.array([1, 0, 1, 1]), np.array([0, 1, 1, 0])
    runs = [first, second, third]
    assert unanimous_share(runs, 2, named=True) == 0.25
    assert mean_pairwise_agreement(runs, 2, named=True) == pytest.approx((2 + 3 + 1) / 12)
    with pytest.raises(DataError, match=r"found \[3, 4\] pairs"):
        unanimous_share([first, second[:3]], named=True)
    with pytest.raises(DataError, match=r"found \[0\] pairs"):
        unanimous_share([first[:0], second[:0]], named=True)


def test_runs_over_different_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="found 3 clusters and 2 labels"):
        agreement(np.array([0, 1]), np.array([0, 1, 1]), 2)
    with pytest.raises(DataError, match="expected clusters from 0 to 1, found -1"):
        align_clusters(np.array([0, -1]), np.array([0, 1]), 2)


def test_balance_is_the_smallest_share_times_k() -> None:
    assert cluster_balance(np.array([0, 1, 0, 1]), 2) == 1.0
    assert cluster_balance(np.array([0, 0, 0, 1]), 2) == 0.5
    assert cluster_balance(np.array([0, 1, 2, 2]), 4) == 0.0
    assert cluster_balance(np.array([0, 0, 1, 1, 2, 2, 2, 3]), 4) == 0.5


def test_balance_of_clusters_outside_k_is_refused() -> None:
    with pytest.raises(DataError, match="all clusters from 0 to 1"):
        cluster_balance(np.array([0, 2]), 2)
    with pytest.raises(DataError, match="at least one pair"):
        cluster_balance(np.array([], dtype=np.int64), 2)


def test_confidence_is_the_mean_of_the_largest_probabilities() -> None:
    assert mean_confidence(np.array([[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]])) == pytest.approx(0.75)


def test_confidence_of_float32_does_not_drift() -> None:
    probabilities = np.full((200_001, 2), (0.7, 0.3), dtype=np.float32)
    assert mean_confidence(probabilities) == pytest.approx(float(np.float32(0.7)), abs=1e-9)


def test_confidence_of_anything_else_is_refused() -> None:
    with pytest.raises(DataError, match=r"found the shape \(2,\)"):
        mean_confidence(np.array([0.5, 0.5]))
    with pytest.raises(DataError, match=r"found the shape \(0, 2\)"):
        mean_confidence(np.zeros((0, 2)))
