import inspect
import re
from dataclasses import replace

import numpy as np
import pytest

from itrp.errors import DataError
from itrp.evaluation.bootstrap import bootstrap_interval
from itrp.evaluation.cost import Cost
from itrp.evaluation.results import (
    Choice,
    Evaluation,
    Protocol,
    RoundPredictions,
    TaskPredictions,
    choose_round,
    evaluate,
    evaluate_relations,
    evaluate_together,
    format_evaluations,
    weighted_f1,
)
from itrp.labels import UNLABELLED, Task

DEV_LABELS = np.array([0, 0, 0, 1, 1, 1])
TEST_LABELS = np.array([0, 0, 1, 1])
ROUNDS = [
    # Half right on dev whichever way, all right on test.
    RoundPredictions(1, np.array([0, 1, 1, 1, 0, 1]), np.array([0, 0, 1, 1])),
    # All right on dev once swapped; on test 2 of 4.
    RoundPredictions(2, np.array([1, 1, 1, 0, 0, 0]), np.array([1, 0, 1, 0])),
    # 5 of 6 on dev; on test 3 of 4, with the other way round.
    RoundPredictions(3, np.array([0, 0, 0, 1, 1, 0]), np.array([1, 1, 0, 1])),
]
MODEL = TaskPredictions(ROUNDS, DEV_LABELS, TEST_LABELS)


def test_weighted_f1_by_hand() -> None:
    # Class 0: precision 1/2, recall 1, F1 2/3, support 1. Class 1: 1, 2/3, 4/5, support 3.
    assert weighted_f1(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])) == pytest.approx((2 / 3 + 3 * 4 / 5) / 4)


def test_weighted_f1_counts_a_class_never_predicted_as_zero(recwarn: pytest.WarningsRecorder) -> None:
    assert weighted_f1(np.array([0, 0, 1, 1]), np.zeros(4, dtype=int)) == pytest.approx(0.5 * 2 / 3)
    assert not recwarn.list


def test_dev_chooses_the_best_dev_checkpoint_with_its_dev_mapping() -> None:
    assert choose_round(Protocol.DEV, ROUNDS, DEV_LABELS, 2) == Choice(2, (1, 0))


def test_last_takes_the_last_checkpoint_with_its_dev_mapping() -> None:
    assert choose_round(Protocol.LAST, ROUNDS, DEV_LABELS, 2) == Choice(3, (0, 1))
    assert choose_round(Protocol.LAST, ROUNDS[::-1], DEV_LABELS, 2) == Choice(3, (0, 1))
    # Round 2 is better, and mapped the other way round: neither its number nor its mapping is taken.
    assert choose_round(Protocol.LAST, ROUNDS[1:], DEV_LABELS, 2) == Choice(3, (0, 1))
    assert choose_round(Protocol.LAST, ROUNDS[:2], DEV_LABELS, 2) == Choice(2, (1, 0))


def test_oracle_chooses_checkpoint_and_mapping_on_test() -> None:
    assert choose_round(Protocol.ORACLE, ROUNDS, DEV_LABELS, 2, TEST_LABELS) == Choice(1, (0, 1))
    # Without round 1 the best is round 3, mapped the other way round than dev maps it.
    assert choose_round(Protocol.ORACLE, ROUNDS[1:], DEV_LABELS, 2, TEST_LABELS) == Choice(3, (1, 0))


@pytest.mark.parametrize("protocol", [Protocol.DEV, Protocol.LAST])
def test_the_honest_protocols_refuse_test_labels(protocol: Protocol) -> None:
    with pytest.raises(DataError, match=f"under the protocol oracle and under no other, found some under {protocol}"):
        choose_round(protocol, ROUNDS, DEV_LABELS, 2, TEST_LABELS)
    assert inspect.signature(choose_round).parameters["test_labels"].default is None


def test_oracle_needs_test_labels() -> None:
    with pytest.raises(DataError, match="found none under oracle"):
        choose_round(Protocol.ORACLE, ROUNDS, DEV_LABELS, 2)


@pytest.mark.parametrize("protocol", [Protocol.DEV, Protocol.LAST])
def test_under_the_honest_protocols_other_test_labels_never_change_the_choice(protocol: Protocol) -> None:
    for number in range(16):
        labels = np.array([number >> bit & 1 for bit in range(4)])
        result = evaluate(protocol, "raw", Task.TEXT, TaskPredictions(ROUNDS, DEV_LABELS, labels))
        assert result.choices == evaluate(protocol, "raw", Task.TEXT, MODEL).choices


def test_of_equally_good_checkpoints_the_earliest_is_taken() -> None:
    rounds = [RoundPredictions(number, ROUNDS[1].dev, ROUNDS[1].test) for number in (9, 4, 7)]
    assert choose_round(Protocol.DEV, rounds, DEV_LABELS, 2).round == 4


def test_the_checkpoint_is_chosen_by_f1_though_the_mapping_is_by_accuracy() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    everything_zero = RoundPredictions(1, np.zeros(10, dtype=int), np.zeros(1, dtype=int))  # accuracy 0.8
    # Accuracy 0.7, F1 of class 0 10/12... by hand: tp0 = 5, predicted 5; tp1 = 2, predicted 5.
    finds_both = RoundPredictions(2, np.array([0] * 5 + [1] * 5), np.zeros(1, dtype=int))
    assert weighted_f1(labels, everything_zero.dev) == pytest.approx(0.8 * 16 / 18)
    assert weighted_f1(labels, finds_both.dev) == pytest.approx(0.8 * 10 / 13 + 0.2 * 4 / 7)
    assert choose_round(Protocol.DEV, [everything_zero, finds_both], labels, 2).round == 2


def test_unlabelled_dev_pairs_are_left_out_of_the_choice() -> None:
    labels = np.array([0, 1, UNLABELLED, UNLABELLED, UNLABELLED])
    rounds = [
        RoundPredictions(1, np.array([0, 0, 0, 1, 1]), np.array([0])),
        RoundPredictions(2, np.array([1, 0, 1, 1, 1]), np.array([0])),
    ]
    assert choose_round(Protocol.DEV, rounds, labels, 2) == Choice(2, (1, 0))


def test_no_rounds_or_a_repeated_round_are_refused() -> None:
    with pytest.raises(DataError, match="at least one checkpoint, found none: train a model first"):
        choose_round(Protocol.DEV, [], DEV_LABELS, 2)
    with pytest.raises(DataError, match=r"each round once, found the rounds \[2, 2\]"):
        choose_round(Protocol.DEV, [ROUNDS[1], ROUNDS[1]], DEV_LABELS, 2)


def test_an_evaluation_by_hand() -> None:
    result = evaluate(Protocol.LAST, "RM", Task.TEXT, MODEL, system="mine", seed=4)
    # Round 3 with the dev mapping (0, 1) predicts 1 1 0 1 for 0 0 1 1: only the last is right.
    assert (result.system, result.task, result.set, result.protocol) == (
        "mine",
        Task.TEXT,
        "RM",
        Protocol.LAST,
    )
    assert (result.round, result.mapping, result.n) == (3, (0, 1), 4)
    assert result.confusion.tolist() == [[0, 2], [1, 1]]
    assert result.accuracy == 0.25
    assert result.f1 == pytest.approx(0.5 * 0 + 0.5 * 2 / 5)
    assert (result.low, result.high) == bootstrap_interval(TEST_LABELS, np.array([1, 1, 0, 1]), seed=4)
    absent, present = result.per_class
    assert absent == {"name": "text not represented", "precision": 0, "recall": 0, "f1": 0, "support": 2}
    assert present["name"] == "text represented"
    assert present["precision"] == pytest.approx(1 / 3)
    assert present["recall"] == 0.5
    assert present["f1"] == pytest.approx(2 / 5)


def test_protocols_keep_their_own_results() -> None:
    f1 = {protocol: evaluate(protocol, "raw", Task.TEXT, MODEL).f1 for protocol in Protocol}
    # dev: round 2 swapped predicts 0 1 0 1, F1 1/2; oracle: round 1 is right everywhere.
    assert f1 == {Protocol.DEV: pytest.approx(0.5), Protocol.ORACLE: 1.0, Protocol.LAST: pytest.approx(0.2)}


def test_unlabelled_test_pairs_are_left_out_of_the_result() -> None:
    labels = np.array([0, UNLABELLED, 1, UNLABELLED])
    result = evaluate(Protocol.ORACLE, "raw", Task.IMAGE, TaskPredictions(ROUNDS, DEV_LABELS, labels))
    assert (result.n, result.f1) == (2, 1.0)
    with pytest.raises(DataError, match="the test set raw has no labelled pair"):
        evaluate(Protocol.DEV, "raw", Task.TEXT, TaskPredictions(ROUNDS, DEV_LABELS, np.full(4, UNLABELLED)))


def test_a_test_set_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="the test set raw, found 4 predictions and 3 labels"):
        evaluate(Protocol.DEV, "raw", Task.TEXT, TaskPredictions(ROUNDS, DEV_LABELS, TEST_LABELS[:3]))


def test_one_model_with_four_clusters_is_mapped_by_one_of_24_permutations() -> None:
    labels = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    clusters = np.array([2, 0, 3, 1])[labels]
    model = TaskPredictions([RoundPredictions(5, clusters, clusters[:4])], labels, labels[:4])
    result = evaluate(Protocol.DEV, "raw", Task.IMAGE_TEXT, model)
    assert (result.mapping, result.f1, result.confusion.shape) == ((1, 3, 0, 2), 1.0, (4, 4))
    assert [figures["name"] for figures in result.per_class] == ["00", "01", "10", "11"]


def test_text_and_image_model_answer_together_each_with_its_own_checkpoint_and_mapping() -> None:
    image_rounds = [
        RoundPredictions(4, np.array([0, 1]), np.array([0, 1, 0, 1])),
        RoundPredictions(6, np.array([0, 0]), np.array([1, 1, 1, 1])),
    ]
    image = TaskPredictions(image_rounds, np.array([0, 1]), np.array([0, 1, 1, 1]))
    result = evaluate_together(Protocol.DEV, "RL", MODEL, image)
    assert result.choices == (Choice(2, (1, 0)), Choice(4, (0, 1)))
    assert result.round == 4
    # T predicted 0 1 0 1 for 0 0 1 1; I predicted 0 1 0 1 for 0 1 1 1: relations 0 3 0 3 for 0 1 3 3.
    assert result.confusion.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    assert (result.task, result.accuracy) == (Task.IMAGE_TEXT, 0.5)
    # F1: 00 2/3 (support 1), 01 0 (1), 11 1/2 (2).
    assert result.f1 == pytest.approx((2 / 3 + 0 + 2 * 0.5) / 4)
    # Joint cluster 2*t + i: (0,0) is T=1 I=0, (0,1) T=1 I=1, (1,0) T=0 I=0, (1,1) T=0 I=1.
    assert result.mapping == (2, 3, 0, 1)


def test_two_models_over_different_test_pairs_are_refused() -> None:
    image = TaskPredictions([RoundPredictions(1, np.array([0, 1]), np.array([0]))], np.array([0, 1]), np.array([0]))
    with pytest.raises(DataError, match="the same test pairs twice, found 4 for the text task and 1"):
        evaluate_together(Protocol.DEV, "raw", MODEL, image)


def test_four_clusters_are_read_as_all_three_tasks() -> None:
    dev_labels = np.array([0, 1, 2, 3])
    test_labels = np.array([0, 1, 2, 3, 3, UNLABELLED])
    rounds = [RoundPredictions(0, np.array([3, 2, 1, 0]), np.array([3, 2, 1, 1, 2, 0]))]
    text, image, both = evaluate_relations(
        Protocol.DEV, "RL", TaskPredictions(rounds, dev_labels, test_labels), system="k-means"
    )
    # Mapping (3, 2, 1, 0): relations 0 1 2 2 1 for 0 1 2 3 3.
    assert (text.task, image.task, both.task) == (Task.TEXT, Task.IMAGE, Task.IMAGE_TEXT)
    assert (both.mapping, both.accuracy, both.n) == ((3, 2, 1, 0), 0.6, 5)
    # T: 0 0 1 1 0 for 0 0 1 1 1. I: 0 1 0 0 1 for 0 1 0 1 1.
    assert text.confusion.tolist() == [[2, 0], [1, 2]]
    assert image.confusion.tolist() == [[2, 0], [1, 2]]
    assert (text.mapping, image.mapping) == ((1, 1, 0, 0), (1, 0, 1, 0))
    assert {result.system for result in (text, image, both)} == {"k-means"}


def test_figures_are_named_by_set_and_protocol() -> None:
    figures = dict(evaluate(Protocol.DEV, "raw", Task.TEXT, MODEL).figures())
    assert figures["test_raw/dev/f1"] == pytest.approx(0.5)
    assert figures["test_raw/dev/n"] == 4.0
    assert figures["test_raw/dev/round"] == 2.0
    assert figures["test_raw/dev/class_1/recall"] == 0.5
    assert len(figures) == 6 + 2 * 3
    assert all(type(value) is float for value in figures.values())


def test_evaluations_print_as_an_aligned_table() -> None:
    results: list[Evaluation] = [
        replace(evaluate(Protocol.DEV, "raw", Task.TEXT, MODEL, system="ITRp"), cost=Cost(12.34, 1983.2, "cpu")),
        evaluate(Protocol.ORACLE, "raw", Task.TEXT, MODEL, system="vanilla k-means"),
    ]
    header, first, second = format_evaluations(results).split("\n")
    assert re.split(" {2,}", header) == [
        *("system", "task", "set", "protocol", "round"),
        *("F1", "95 % interval", "accuracy", "pairs", "s/1000", "GFLOP/1000"),
    ]
    low, high = 100 * results[0].low, 100 * results[0].high
    interval = f"{low:.1f}-{high:.1f}"
    assert first.split() == ["ITRp", "text", "raw", "dev", "2", "50.0", interval, "50.0", "4", "12.3", "1,983"]
    assert second.split()[-2:] == ["-", "-"]
    assert second.startswith("vanilla k-means  text  raw  oracle")
    assert len({len(line) for line in (header, first, second)}) == 1
    assert header.index("task") == first.index("text")


def test_a_table_of_nothing_is_its_header() -> None:
    assert "\n" not in format_evaluations([])
