"""Mapping, weighted F1 and `oracle` against brute force with scikit-learn: many random cases of few pairs, full of ties.

The rule is the paper's: in every checkpoint the permutation with the best accuracy, of equals the first; of the checkpoints
the one with the best weighted F1, of equals the first.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from itrp.clustering.mapping import best_mapping
from itrp.evaluation.protocols import choose_round, weighted_f1
from itrp.evaluation.results import (
    Protocol,
    RoundPredictions,
    TaskPredictions,
    evaluate,
    evaluate_relations,
    evaluate_together,
)
from itrp.labels import Task

Labels = NDArray[np.int64]


def try_every_mapping(labels: Labels, clusters: Labels, k: int) -> tuple[int, ...]:
    """The first permutation, in lexicographic order, that none after it beats in accuracy."""
    best, chosen = -1.0, tuple(range(k))
    for candidate in permutations(range(k)):
        accuracy = accuracy_score(labels, [candidate[cluster] for cluster in clusters])
        if accuracy > best:
            best, chosen = accuracy, candidate
    return chosen


def rename(clusters: Labels, mapping: Sequence[int]) -> list[int]:
    return [mapping[cluster] for cluster in clusters]


def scikit_f1(labels: Labels, predictions: Sequence[int] | Labels) -> float:
    return float(f1_score(labels, predictions, average="weighted", zero_division=0))


def try_every_checkpoint(labels: Labels, rounds: Sequence[Labels], k: int) -> tuple[int, tuple[int, ...], float]:
    """The paper's selection: in each checkpoint its best mapping, then the first checkpoint with the best F1.

    Returns (1-based round, mapping, F1).
    """
    mappings = [try_every_mapping(labels, clusters, k) for clusters in rounds]
    scores = [scikit_f1(labels, rename(*pair)) for pair in zip(rounds, mappings, strict=True)]
    place = max(range(len(scores)), key=lambda each: (scores[each], -each))
    return place + 1, mappings[place], scores[place]


def draw_cases(k: int, cases: int, pairs: int) -> Iterator[tuple[Labels, list[Labels]]]:
    """Labels [n] and the clusters of five checkpoints, few pairs so that ties abound, some clusters and classes missing."""
    generator = np.random.default_rng(0)
    for _ in range(cases):
        n = int(generator.integers(1, pairs))
        labels = generator.integers(generator.integers(1, k + 1), size=n)
        yield labels, [generator.integers(generator.integers(1, k + 1), size=n) for _ in range(5)]


@pytest.mark.parametrize(("k", "cases"), [(2, 50), (4, 6)])
def test_mapping_and_weighted_f1_are_those_of_brute_force(k: int, cases: int) -> None:
    ties = 0
    for labels, rounds in draw_cases(k, cases, pairs=9):
        for clusters in rounds:
            mapping = try_every_mapping(labels, clusters, k)
            assert best_mapping(clusters, labels, k) == mapping
            predictions = rename(clusters, mapping)
            assert weighted_f1(labels, np.array(predictions)) == scikit_f1(labels, predictions)
            right = [accuracy_score(labels, rename(clusters, other)) for other in permutations(range(k))]
            ties += right.count(max(right)) > 1
    assert ties > cases / 2  # the rule for ties was asked for


@pytest.mark.parametrize(("k", "task", "cases"), [(2, Task.TEXT, 50), (2, Task.IMAGE, 10), (4, Task.IMAGE_TEXT, 6)])
def test_oracle_is_the_papers_selection(k: int, task: Task, cases: int) -> None:
    later = 0
    for labels, rounds in draw_cases(k, cases, pairs=9):
        number, mapping, f1 = try_every_checkpoint(labels, rounds, k)
        predictions = [
            RoundPredictions(place, clusters[:0], clusters) for place, clusters in enumerate(rounds, start=1)
        ]
        choice = choose_round(Protocol.ORACLE, predictions, labels[:0], k, labels)
        assert (choice.round, choice.mapping) == (number, mapping)
        result = evaluate(Protocol.ORACLE, "raw", task, TaskPredictions(predictions, labels[:0], labels))
        assert (result.round, result.mapping, result.f1) == (number, mapping, f1)
        later += number > 1
    assert 0 < later < cases


def test_oracle_of_both_models_together_chooses_each_by_its_own_task() -> None:
    """As the paper's statistics do: best text checkpoint, best image checkpoint, then relation 2*T + I."""
    texts, images = (list(draw_cases(2, 12, pairs=30)) for _ in range(2))
    for (text_labels, text_rounds), (image_labels, image_rounds) in zip(texts, images[::-1], strict=True):
        n = min(len(text_labels), len(image_labels))
        sides = []
        for labels, rounds in ((text_labels[:n], text_rounds), (image_labels[:n], image_rounds)):
            number, mapping, _ = try_every_checkpoint(labels, [clusters[:n] for clusters in rounds], 2)
            sides.append((labels, rounds, np.array(rename(rounds[number - 1][:n], mapping))))
        (text_labels, text_rounds, text), (image_labels, image_rounds, image) = sides
        made = [
            TaskPredictions(
                [RoundPredictions(place, each[:0], each[:n]) for place, each in enumerate(rounds, start=1)],
                labels[:0],
                labels,
            )
            for labels, rounds in ((text_labels, text_rounds), (image_labels, image_rounds))
        ]
        result = evaluate_together(Protocol.ORACLE, "raw", *made)
        assert result.f1 == scikit_f1(2 * text_labels + image_labels, 2 * text + image)


def test_oracle_of_one_model_with_four_clusters_reads_all_tasks_off_one_mapping() -> None:
    """The paper's k = 4 systems: mapped by accuracy on the relations, then T = relation // 2 and I = relation % 2."""
    for labels, rounds in draw_cases(4, 8, pairs=20):
        clusters = rounds[0]
        relations = np.array(rename(clusters, try_every_mapping(labels, clusters, 4)))
        model = TaskPredictions([RoundPredictions(1, clusters[:0], clusters)], labels[:0], labels)
        found = {result.task: result.f1 for result in evaluate_relations(Protocol.ORACLE, "raw", model)}
        assert found == {
            Task.TEXT: scikit_f1(labels // 2, relations // 2),
            Task.IMAGE: scikit_f1(labels % 2, relations % 2),
            Task.IMAGE_TEXT: scikit_f1(labels, relations),
        }
