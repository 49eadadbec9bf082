import numpy as np
import pytest

from itrp.clustering.mapping import apply_mapping, best_mapping, count_cells, mapped_probabilities
from itrp.errors import DataError
from itrp.labels import UNLABELLED


def test_two_clusters_that_are_the_wrong_way_round_are_swapped() -> None:
    clusters = np.array([0, 0, 0, 1, 1])
    labels = np.array([1, 1, 0, 0, 0])
    assert best_mapping(clusters, labels, 2) == (1, 0)


def test_four_clusters_take_the_one_permutation_of_24_that_fits() -> None:
    clusters = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3])
    labels = np.array([2, 0, 3, 1, 2, 0, 3, 1, 0])
    assert best_mapping(clusters, labels, 4) == (2, 0, 3, 1)


def test_the_mapping_is_the_best_permutation_not_the_greedy_majority() -> None:
    # Both clusters are mostly class 0. Identity: 5 + 2 right; swapped: 4 + 3 right.
    clusters = np.array([0] * 9 + [1] * 5)
    labels = np.array([0] * 5 + [1] * 4 + [0] * 3 + [1] * 2)
    assert best_mapping(clusters, labels, 2) == (0, 1)
    # One pair of class 0 more in cluster 1, and two fewer in cluster 0: 3 + 2 against 4 + 4.
    clusters = np.array([0] * 7 + [1] * 6)
    labels = np.array([0] * 3 + [1] * 4 + [0] * 4 + [1] * 2)
    assert best_mapping(clusters, labels, 2) == (1, 0)


def test_a_tie_takes_the_lexicographically_first_permutation_whatever_the_order_of_rows() -> None:
    clusters, labels = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert best_mapping(clusters, labels, 2) == (0, 1)
    assert best_mapping(clusters[::-1], labels[::-1], 2) == (0, 1)
    # Only cluster 3 is seen, as class 0: the other three classes go in ascending order.
    assert best_mapping(np.array([3, 3]), np.array([0, 0]), 4) == (1, 2, 3, 0)


def test_unlabelled_rows_do_not_count() -> None:
    clusters = np.array([0, 1, 0, 0, 0])
    labels = np.array([1, 0, UNLABELLED, UNLABELLED, UNLABELLED])
    assert best_mapping(clusters, labels, 2) == (1, 0)


def test_without_labels_there_is_no_mapping() -> None:
    with pytest.raises(DataError, match=r"expected labelled pairs.*found none.*ingest a labelled data set"):
        best_mapping(np.array([0, 1]), np.array([UNLABELLED, UNLABELLED]), 2)


def test_clusters_and_labels_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="found 2 clusters and 3 labels"):
        best_mapping(np.array([0, 1]), np.array([0, 1, 1]), 2)
    with pytest.raises(DataError, match="row numbers from 0 to 1, found 0 to 2"):
        best_mapping(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(DataError, match="column numbers from 0 to 1, found 0 to 3"):
        best_mapping(np.array([0, 1]), np.array([0, 3]), 2)


def test_cells_are_counted_by_row_and_column() -> None:
    counts = count_cells(np.array([0, 0, 1, 1, 1]), np.array([0, 2, 1, 1, 0]), (2, 3))
    assert counts.tolist() == [[1, 0, 1], [1, 2, 0]]


def test_a_mapping_is_applied_by_looking_up() -> None:
    classes = apply_mapping(np.array([3, 0, 0, 2]), (2, 0, 3, 1))
    assert classes.tolist() == [1, 2, 2, 3]
    assert classes.dtype == np.int64


@pytest.mark.parametrize("cluster", [-1, 2])
def test_a_cluster_outside_the_mapping_is_refused(cluster: int) -> None:
    with pytest.raises(DataError, match="expected clusters from 0 to 1"):
        apply_mapping(np.array([0, cluster]), (1, 0))


def test_probabilities_move_to_the_columns_of_their_classes() -> None:
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    by_class = mapped_probabilities(probabilities, (2, 0, 3, 1))
    np.testing.assert_array_equal(by_class, np.array([[0.2, 0.4, 0.1, 0.3]], dtype=np.float32))
    assert by_class.dtype == np.float32


def test_the_best_cluster_speaks_for_a_class_of_several() -> None:
    """0.4 against 0.3, as 4 to 3; their sums 0.4 and 0.6 would be the other way round."""
    by_class = mapped_probabilities(np.array([[0.4, 0.3, 0.3, 0.0]]), (0, 1, 1, 0))
    np.testing.assert_allclose(by_class, [[4 / 7, 3 / 7]])


@pytest.mark.parametrize("mapping", [(3, 1, 0, 2), (0, 1, 1, 0), (1, 1, 0, 0), (0, 1, 0, 1)])
def test_the_most_probable_class_is_the_class_of_the_most_probable_cluster(mapping: tuple[int, ...]) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    mapped = mapped_probabilities(probabilities, mapping)
    np.testing.assert_array_equal(mapped.argmax(axis=1), apply_mapping(probabilities.argmax(axis=1), mapping))
    np.testing.assert_allclose(mapped.sum(axis=1), 1)


@pytest.mark.parametrize(("mapping", "expected"), [((0, 0), [1, 0]), ((1, 1), [0, 1]), ((1, 1, 1), [0, 1])])
def test_one_name_for_all_clusters_is_certain(mapping: tuple[int, ...], expected: list[float]) -> None:
    probabilities = np.full((1, len(mapping)), 1 / len(mapping))
    assert mapped_probabilities(probabilities, mapping, 2).tolist() == [expected]


def test_probabilities_of_another_model_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected an \[n, 2\] array.*found the shape \(3, 4\)"):
        mapped_probabilities(np.full((3, 4), 0.25), (1, 0))
