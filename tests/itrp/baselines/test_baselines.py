import numpy as np
import pytest
from numpy.typing import NDArray

from itrp.baselines.untrained import majority_class, majority_rounds, predict_majority, vanilla_rounds
from itrp.clustering.pseudo_labels import Method
from itrp.errors import DataError
from itrp.evaluation.results import Protocol, TaskPredictions, evaluate, evaluate_relations, format_evaluations
from itrp.labels import UNLABELLED, Task


def test_the_majority_class_is_the_most_frequent_labelled_one() -> None:
    labels = np.array([1, 1, 0, UNLABELLED, UNLABELLED, UNLABELLED])
    assert majority_class(labels) == 1
    assert predict_majority(labels, 3).tolist() == [1, 1, 1]


def test_of_equally_frequent_classes_the_smallest_is_taken() -> None:
    assert majority_class(np.array([3, 2, 3, 2])) == 2


def test_there_is_no_majority_without_labels() -> None:
    with pytest.raises(DataError, match="expected labelled pairs to find the majority class, found none"):
        majority_class(np.array([UNLABELLED]))


@pytest.mark.parametrize("task", [Task.TEXT, Task.IMAGE_TEXT])
def test_the_evaluated_majority_is_the_predicted_one(task: Task) -> None:
    dev = np.array([1, 1, 1, 0, 0]) if task is Task.TEXT else np.array([2, 2, 1, 0, 3])
    test = np.array([1, 0, 0, 0])
    result = evaluate(Protocol.DEV, "raw", task, TaskPredictions(majority_rounds(5, 4), dev, test))
    assert result.accuracy == (predict_majority(dev, 4) == test).mean()
    assert result.mapping[0] == majority_class(dev)


def test_the_majority_figures_by_hand() -> None:
    predictions = TaskPredictions(majority_rounds(3, 4), np.array([1, 1, 0]), np.array([1, 1, 1, 0]))
    result = evaluate(Protocol.DEV, "raw", Task.IMAGE, predictions)
    # Class 1: precision 3/4, recall 1, F1 6/7; class 0 is never predicted.
    assert result.f1 == pytest.approx(0.75 * 6 / 7)
    assert result.accuracy == 0.75
    header, line = format_evaluations([result]).splitlines()
    assert line[: header.index("round") + len("round")].split()[-1] == "-"  # it has no rounds


def make_relations(n: int, seed: int, spread: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features [n, 12] around one centre a relation (text axis 0, image axis 6), and labels [n]."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=n)
    features = spread * generator.normal(size=(n, 12))
    features[:, 0] += 6 * (labels // 2)
    features[:, 6] += 4 * (labels % 2)
    return features.astype(np.float32), labels


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_vanilla_clustering_finds_relations_that_lie_apart(method: Method) -> None:
    (train, _), (dev, dev_labels), (test, test_labels) = (make_relations(n, n, 0.3) for n in (400, 100, 60))
    rounds = vanilla_rounds(train, dev, test, method, k=4, seed=0)
    assert [each.round for each in rounds] == [0]
    results = evaluate_relations(Protocol.DEV, "raw", TaskPredictions(rounds, dev_labels, test_labels))
    assert [result.f1 for result in results] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_vanilla_clustering_with_two_clusters_finds_the_stronger_task(method: Method) -> None:
    (train, _), (dev, dev_labels), (test, test_labels) = (make_relations(n, n, 0.3) for n in (400, 100, 60))
    rounds = vanilla_rounds(train, dev, test, method, k=2, seed=0)
    text = evaluate(Protocol.DEV, "raw", Task.TEXT, TaskPredictions(rounds, dev_labels // 2, test_labels // 2))
    image = evaluate(Protocol.DEV, "raw", Task.IMAGE, TaskPredictions(rounds, dev_labels % 2, test_labels % 2))
    if method == "kmeans":
        # The text axis is 6 apart, the image axis 4: the cut of least squares goes through the text axis.
        assert text.f1 == 1.0
        assert image.f1 < 0.75
    else:
        # A tied covariance takes any direction; it starts from k-means.
        assert max(text.f1, image.f1) == 1.0


def test_vanilla_clustering_never_reads_dev_or_test_while_it_is_fitted() -> None:
    train, _ = make_relations(200, 1, 1.0)
    dev, _ = make_relations(50, 2, 1.0)
    alone = vanilla_rounds(train, dev, dev[:10], "kmeans", k=4, seed=0)[0]
    moved = vanilla_rounds(train, dev, dev[:10] + 1000, "kmeans", k=4, seed=0)[0]
    np.testing.assert_array_equal(alone.dev, moved.dev)
    np.testing.assert_array_equal(alone.test, alone.dev[:10])


def test_chance_is_no_better_than_chance() -> None:
    train, _ = make_relations(200, 1, 0.3)
    dev, dev_labels = make_relations(4000, 2, 0.3)
    rounds = vanilla_rounds(train, dev, dev, "random", k=4, seed=0)
    result = evaluate(Protocol.DEV, "raw", Task.IMAGE_TEXT, TaskPredictions(rounds, dev_labels, dev_labels))
    assert 0.2 < result.f1 < 0.3
