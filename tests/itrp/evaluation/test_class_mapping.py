"""Names for clusters from a few labels or by similarity, counted by hand."""

import math

import numpy as np
import pytest

from itrp.clustering.mapping import best_mapping
from itrp.errors import DataError, WrongUseError
from itrp.evaluation.class_mapping import (
    ExampleNaming,
    SimilarityChoice,
    SimilarityNaming,
    keep_examples,
    name_by_cosines,
    name_by_person,
)
from itrp.evaluation.results import RoundPredictions, TaskPredictions, evaluate, evaluate_relations, evaluate_together
from itrp.labels import UNLABELLED, Task


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def repeat(*blocks: tuple[int, int]) -> np.ndarray:
    """repeat((7, 3), (8, 1)) = [7, 7, 7, 8]."""
    return np.concatenate([np.full(count, number, dtype=np.int64) for number, count in blocks])


def test_examples_are_labelled_rows_and_no_others() -> None:
    labels = np.tile(ints(0, UNLABELLED, 1, UNLABELLED), 25)
    kept = keep_examples(labels, 10, seed=3)
    rows = np.flatnonzero(kept != UNLABELLED)
    assert len(rows) == 10
    assert (labels[rows] == kept[rows]).all()
    assert labels.tolist() == [0, -1, 1, -1] * 25  # not changed in place


def test_a_smaller_draw_is_part_of_a_larger_one_and_seeds_differ() -> None:
    labels = np.arange(200) % 2
    draws = {m: set(np.flatnonzero(keep_examples(labels, m, seed=1) != UNLABELLED)) for m in (5, 20, 200)}
    assert draws[5] < draws[20] < draws[200] == set(range(200))
    other = set(np.flatnonzero(keep_examples(labels, 20, seed=2) != UNLABELLED))
    assert other != draws[20]
    assert np.array_equal(keep_examples(labels, 20, seed=1), keep_examples(labels, 20, seed=1))


def test_examples_are_drawn_evenly_whatever_their_class() -> None:
    """Of 90 rows of class 0 and 10 of class 1, 20 examples hold 2 of class 1 on average: 0.1 * 20."""
    labels = repeat((0, 90), (1, 10))
    drawn = [int((keep_examples(labels, 20, seed) == 1).sum()) for seed in range(400)]
    assert np.mean(drawn) == pytest.approx(2.0, abs=0.2)  # standard error 0.06
    assert 0 in drawn


@pytest.mark.parametrize("examples", [0, -1, 4])
def test_no_more_examples_than_labels(examples: int) -> None:
    with pytest.raises(DataError, match=f"expected 1 to 3 examples, .* found {examples}"):
        keep_examples(ints(0, 1, -1, 1), examples, seed=0)


def test_names_by_examples() -> None:
    """Cluster 1 is class 0 in 9 of 10 rows: all examples tell it, and one tells it or its contrary."""
    clusters, labels = repeat((1, 10), (0, 10)), repeat((0, 9), (1, 1), (1, 9), (0, 1))
    assert best_mapping(clusters, keep_examples(labels, 20, seed=0), 2) == best_mapping(clusters, labels, 2) == (1, 0)
    answers = [best_mapping(clusters, keep_examples(labels, 1, seed), 2) for seed in range(400)]
    assert answers.count((1, 0)) / 400 == pytest.approx(0.9, abs=0.06)  # standard error 0.015
    assert set(answers) == {(0, 1), (1, 0)}


def test_four_clusters_by_examples() -> None:
    clusters = np.tile(ints(2, 0, 3, 1), 30)
    labels = np.tile(ints(0, 1, 2, 3), 30)
    assert best_mapping(clusters, keep_examples(labels, 40, seed=5), 4) == (1, 3, 0, 2)


@pytest.mark.parametrize(("clusters", "cosines", "mapping"), [
    ([0, 0, 1, 1], [0.3, 0.5, 0.1, 0.3], (1, 0)),
    ([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.5], (0, 1)),
    ([0, 0, 1, 1], [0.2, 0.2, 0.2, 0.2], (0, 1)),
])  # fmt: skip
def test_the_more_similar_cluster_is_class_1(
    clusters: list[int], cosines: list[float], mapping: tuple[int, int]
) -> None:
    assert name_by_cosines(ints(*clusters), np.array(cosines), 2).mapping == mapping


def test_four_clusters_in_the_order_of_similarity() -> None:
    """Means: cluster 0 0.3, cluster 1 0.1, cluster 2 0.4, cluster 3 0.2 -> 00 is 1, 01 is 3, 10 is 0, 11 is 2."""
    clusters = ints(0, 1, 2, 3, 0, 1, 2, 3)
    cosines = np.array([0.25, 0.05, 0.35, 0.15, 0.35, 0.15, 0.45, 0.25])
    names = name_by_cosines(clusters, cosines, 4)
    assert names.mapping == (2, 0, 3, 1)
    # every row is 0.05 from its mean: 8 * 0.0025 over 8 - 4 degrees of freedom = 0.005; the means are 0.1 apart
    assert names.gap == pytest.approx(0.1 / math.sqrt(0.005))
    assert names.z == pytest.approx(0.1 / math.sqrt(0.005 * (1 / 2 + 1 / 2)))


def test_gap_and_z_by_hand() -> None:
    """Means 2 and 5, squares 2 + 18 over 5 - 2 degrees of freedom, clusters of 2 and 3."""
    names = name_by_cosines(ints(0, 0, 1, 1, 1), np.array([1.0, 3.0, 2.0, 5.0, 8.0]), 2)
    variance = (2 + 18) / 3
    assert names.gap == pytest.approx(3 / math.sqrt(variance))
    assert names.z == pytest.approx(3 / math.sqrt(variance * (1 / 2 + 1 / 3)))


def test_the_gap_is_that_of_the_nearest_neighbours() -> None:
    clusters = np.tile(ints(0, 1, 2, 3), 50)
    noise = np.random.default_rng(0).normal(0, 1, 200)
    near = name_by_cosines(clusters, clusters * 10.0 + noise, 4)
    nearer = name_by_cosines(clusters, np.array([0, 10, 10.5, 30])[clusters] + noise, 4)
    assert near.gap > 9
    assert nearer.gap == pytest.approx(0.5, abs=0.4)
    assert nearer.z < near.z


def test_the_gap_without_any_spread() -> None:
    assert (
        name_by_cosines(ints(0, 1), np.array([0.1, 0.2]), 2).gap == 0
    )  # one pair each: nothing is known of the spread
    assert name_by_cosines(ints(0, 0, 1, 1), np.array([0.1, 0.1, 0.2, 0.2]), 2).z == math.inf
    same = name_by_cosines(ints(0, 0, 1, 1), np.full(4, 0.5), 2)
    assert (same.gap, same.z) == (0, 0)


@pytest.mark.parametrize(("clusters", "cosines", "told"), [
    ([0, 0, 0], [0.1, 0.2, 0.3], r"expected pairs in each of 2 clusters .* sizes \[3, 0\]"),
    ([0, 1, 2], [0.1, 0.2, 0.3], r"sizes \[1, 1, 1\]"),
    ([0, 1], [0.1], "found 2 clusters and 1 cosines"),
    ([0, 1], [0.1, math.nan], "1 of them not finite"),
    ([], [], r"sizes \[0, 0\]"),
])  # fmt: skip
def test_clusters_that_cannot_be_compared(clusters: list[int], cosines: list[float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        name_by_cosines(ints(*clusters), np.array(cosines), 2)


ROUNDS = [
    # the first checkpoint is right on every labelled pair, the last one on four of six
    RoundPredictions(1, ints(0, 0, 0, 1, 1, 1), ints(0, 0, 1, 1)),
    RoundPredictions(2, ints(1, 1, 0, 0, 0, 1), ints(1, 1, 0, 1)),
]
LABELS = ints(0, 0, 0, 1, 1, 1)


def test_examples_choose_the_checkpoint_and_similarity_takes_the_last() -> None:
    every = ExampleNaming(6).choose(Task.TEXT, ROUNDS[::-1], LABELS)
    assert (every.round, every.mapping) == (1, (0, 1))
    assert ExampleNaming(6).choose(Task.TEXT, ROUNDS[1:], LABELS).mapping == (1, 0)
    joint = SimilarityNaming(np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.9])).choose(Task.TEXT, ROUNDS[::-1], LABELS)
    assert (joint.round, joint.mapping) == (2, (0, 1))
    assert isinstance(joint, SimilarityChoice)
    assert joint.gap > 5


def test_joint_naming_never_looks_at_labels() -> None:
    rule = SimilarityNaming(np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.9]))
    nothing = np.full(6, UNLABELLED)
    choice = rule.choose(Task.IMAGE, ROUNDS, nothing)
    assert choice == rule.choose(Task.IMAGE, ROUNDS, 1 - LABELS)
    assert choice.task is Task.IMAGE


def test_example_naming_sees_only_its_examples() -> None:
    """Whatever the other labels are, the choice is the same."""
    rule, clusters = ExampleNaming(3, seed=4), np.tile(ints(0, 1), 50)
    labels = np.random.default_rng(0).integers(0, 2, 100)
    kept = keep_examples(labels, 3, 4)
    flipped = np.where(kept == UNLABELLED, 1 - labels, labels)
    rounds = [RoundPredictions(1, clusters, clusters)]
    assert rule.choose(Task.TEXT, rounds, labels) == rule.choose(Task.TEXT, rounds, flipped)


def test_rules_are_protocols_with_names_of_their_own() -> None:
    predictions = TaskPredictions(ROUNDS, LABELS, ints(0, 0, 1, 1))
    result = evaluate(ExampleNaming(6), "raw", Task.TEXT, predictions)
    assert (result.round, result.mapping, result.accuracy) == (1, (0, 1), 1.0)
    assert str(result.protocol) == "dev-6"
    assert dict(result.figures())["test_raw/dev-6/accuracy"] == 1.0
    joint = SimilarityNaming(np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.9]))
    assert evaluate(joint, "raw", Task.TEXT, predictions).accuracy == 0.25
    assert dict(evaluate(joint, "raw", Task.TEXT, predictions).figures())["test_raw/joint/accuracy"] == 0.25


def test_two_models_and_one_of_four_clusters() -> None:
    """Both models get their names from the same six pairs; the relation of four clusters from their order."""
    text = TaskPredictions(ROUNDS[1:], LABELS, ints(0, 0, 1, 1))
    image = TaskPredictions(ROUNDS[1:], 1 - LABELS, ints(1, 1, 0, 0))
    result = evaluate_together(ExampleNaming(6), "raw", text, image)
    assert result.mapping == (2, 3, 0, 1)  # text (1, 0), image (0, 1)
    four = [RoundPredictions(1, ints(3, 3, 2, 2, 1, 1, 0, 0), ints(3, 2, 1, 0))]
    cosines = np.array([0.10, 0.11, 0.20, 0.21, 0.30, 0.31, 0.40, 0.41])
    relations = TaskPredictions(four, np.full(8, UNLABELLED), ints(0, 1, 2, 3))
    assert [each.f1 for each in evaluate_relations(SimilarityNaming(cosines), "raw", relations)] == [1.0, 1.0, 1.0]


def test_what_is_named_already_keeps_its_names() -> None:
    """A supervised system under a naming rule: the last checkpoint, no mapping, whatever the examples are."""
    predictions = TaskPredictions(ROUNDS, LABELS, ints(0, 0, 1, 1), named=True)
    result = evaluate(ExampleNaming(6), "raw", Task.TEXT, predictions)
    assert (result.round, result.mapping, result.accuracy) == (2, (0, 1), 0.25)
    with pytest.raises(DataError, match="at least one checkpoint"):
        SimilarityNaming(np.empty(0)).choose(Task.TEXT, [], ints())


@pytest.mark.parametrize(
    ("task", "words", "mapping"),
    [
        (Task.TEXT, {0: "represented"}, (1, 0)),
        (Task.TEXT, {1: "represented"}, (0, 1)),
        (Task.IMAGE, {0: "does-not-add"}, (0, 1)),
        (Task.IMAGE, {1: "adds", 0: "adds"}, (1, 1)),
        (Task.IMAGE_TEXT, {0: "11", 1: "00", 2: "10", 3: "01"}, (3, 0, 2, 1)),
        (Task.IMAGE_TEXT, {0: "11", 1: "11", 2: "10", 3: "00"}, (3, 3, 2, 0)),
    ],
)
def test_a_persons_words_are_a_mapping(task: Task, words: dict[int, str], mapping: tuple[int, ...]) -> None:
    assert name_by_person(task, words) == mapping


@pytest.mark.parametrize(
    ("task", "words", "told"),
    [
        (Task.TEXT, {2: "represented"}, "expected a cluster from 0 to 1, found 2"),
        (Task.TEXT, {0: "adds"}, "a cluster of the text task not-represented or represented, found 'adds'"),
        (Task.IMAGE_TEXT, {0: "adds"}, "task 00, 01, 10 or 11, found 'adds'"),
        (
            Task.IMAGE_TEXT,
            {0: "11", 2: "00"},
            "each of 4 clusters, found none for 1, 3: add --cluster 1=00, or another of ",
        ),
        (Task.IMAGE, {}, "each of 2 clusters, found none for 0, 1"),
    ],
)
def test_words_that_name_nothing_are_refused(task: Task, words: dict[int, str], told: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        name_by_person(task, words)
    assert told in str(caught.value)
