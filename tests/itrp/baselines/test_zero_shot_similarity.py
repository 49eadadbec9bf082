import numpy as np
import pytest
from sklearn.metrics import f1_score

from itrp.baselines.zero_shot_similarity import Threshold, choose_task_threshold, choose_threshold, similarity_rounds
from itrp.errors import DataError, WrongUseError
from itrp.evaluation.protocols import Protocol
from itrp.evaluation.results import TaskPredictions, evaluate, evaluate_together
from itrp.labels import UNLABELLED, Task


def test_the_threshold_by_hand() -> None:
    cosines = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    labels = np.array([0, 1, 0, 1, 1])
    # Cut at 0.35: class 1 has precision 1, recall 2/3, F1 4/5; class 0 precision 2/3, recall 1, F1 4/5.
    assert choose_threshold(cosines, labels) == Threshold(pytest.approx(0.35), above=1, f1=pytest.approx(0.8))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sides", [(1,), (0,), (1, 0)])
def test_no_threshold_is_better_by_scikit_learns_f1(seed: int, sides: tuple[int, ...]) -> None:
    generator = np.random.default_rng(seed)
    cosines = generator.normal(size=60).round(1).astype(np.float32) / 4  # many equal ones
    labels = (generator.random(60) < 0.3 + 0.4 * (cosines > 0)).astype(np.int64)
    labels[generator.random(60) < 0.2] = UNLABELLED
    known = labels != UNLABELLED
    best = 0.0
    for side in sides:
        for cut in np.append(np.unique(cosines), 3):
            predicted = np.where(cosines >= cut, side, 1 - side)
            best = max(best, f1_score(labels[known], predicted[known], average="weighted", zero_division=0))
    chosen = choose_threshold(cosines, labels, sides)
    assert chosen.f1 == pytest.approx(best, abs=1e-12)
    own = f1_score(labels[known], chosen.classify(cosines)[known], average="weighted", zero_division=0)
    assert own == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_puts_the_threshold_outside(label: int) -> None:
    chosen = choose_threshold(np.array([-1.0, 0.0, 1.0]), np.full(3, label))
    assert chosen.f1 == 1.0
    assert chosen.classify(np.array([-1.0, 0.5, 1.0])).tolist() == [label] * 3


def test_neighbouring_single_precision_cosines_are_told_apart() -> None:
    low = np.float32(0.25)
    cosines = np.array([low, np.nextafter(low, np.float32(1)), np.nextafter(low, np.float32(0))], dtype=np.float32)
    labels = np.array([0, 1, 0])
    chosen = choose_threshold(cosines, labels)
    assert chosen.f1 == 1.0
    assert chosen.classify(cosines).tolist() == [0, 1, 0]


def test_the_order_of_rows_and_unlabelled_rows_change_nothing() -> None:
    generator = np.random.default_rng(1)
    cosines, labels = generator.normal(size=50), generator.integers(2, size=50)
    order = generator.permutation(50)
    chosen = choose_threshold(cosines, labels)
    assert choose_threshold(cosines[order], labels[order]) == chosen
    more = np.append(cosines, [9.0, np.nan]), np.append(labels, [UNLABELLED] * 2)
    assert choose_threshold(*more) == chosen


DEV, TEST = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.15, 0.25, 0.3, 0.35])
DEV_LABELS, TEST_LABELS = np.array([1, 1, 0, 0]), np.array([0, 0, 0, 1])


def test_only_the_image_task_chooses_its_side() -> None:
    image = choose_task_threshold(Protocol.DEV, Task.IMAGE, DEV, DEV_LABELS, TEST)
    text = choose_task_threshold(Protocol.DEV, Task.TEXT, DEV, DEV_LABELS, TEST)
    assert image == Threshold(pytest.approx(0.25), above=0, f1=1.0)
    assert text.above == 1
    assert text.f1 < 1
    (rounds,) = similarity_rounds(image, DEV, TEST)
    assert rounds.dev.tolist() == DEV_LABELS.tolist()
    assert rounds.test.tolist() == [1, 0, 0, 0]  # the second lies at the threshold itself


def test_the_oracle_alone_chooses_on_the_test_labels() -> None:
    oracle = choose_task_threshold(Protocol.ORACLE, Task.TEXT, DEV, DEV_LABELS, TEST, TEST_LABELS)
    assert oracle == Threshold(pytest.approx(0.325), above=1, f1=1.0)
    last = choose_task_threshold(Protocol.LAST, Task.IMAGE, DEV, DEV_LABELS, TEST)
    assert last == choose_task_threshold(Protocol.DEV, Task.IMAGE, DEV, DEV_LABELS, TEST)
    with pytest.raises(
        DataError, match="expected test labels under the protocol oracle and no other, found some under dev"
    ):
        choose_task_threshold(Protocol.DEV, Task.TEXT, DEV, DEV_LABELS, TEST, TEST_LABELS)
    with pytest.raises(DataError, match="found none under oracle"):
        choose_task_threshold(Protocol.ORACLE, Task.TEXT, DEV, DEV_LABELS, TEST)


def test_both_tasks_are_evaluated_alone_and_together() -> None:
    labels = {Task.TEXT: (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])), Task.IMAGE: (DEV_LABELS, TEST_LABELS)}
    predictions = {}
    for task, (dev, test) in labels.items():
        threshold = choose_task_threshold(Protocol.DEV, task, DEV, dev, TEST)
        predictions[task] = TaskPredictions(similarity_rounds(threshold, DEV, TEST), dev, test, named=True)
    text = evaluate(Protocol.DEV, "raw", Task.TEXT, predictions[Task.TEXT])
    both = evaluate_together(Protocol.DEV, "raw", predictions[Task.TEXT], predictions[Task.IMAGE])
    # Text: 0.25 and more is represented, 0 1 1 1; image: less than 0.25 adds, 1 0 0 0.
    assert text.accuracy == 0.5
    assert both.mapping == (0, 1, 2, 3)
    assert both.confusion.tolist() == [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_two_classes_have_a_threshold_and_four_have_not() -> None:
    with pytest.raises(WrongUseError, match="one threshold separates two classes"):
        choose_task_threshold(Protocol.DEV, Task.IMAGE_TEXT, DEV, DEV_LABELS, TEST)


@pytest.mark.parametrize(
    ("cosines", "labels", "message"),
    [
        ([0.1], [1, 0], "found 1 cosines and 2 labels"),
        ([0.1, 0.2], [UNLABELLED, UNLABELLED], "expected labelled pairs to choose a threshold on, found none"),
        ([0.1, 0.2], [0, 3], r"expected the labels 0 and 1, found \[3\]"),
        ([0.1, np.nan], [0, 1], "expected cosines, found 1 that are no finite number"),
    ],
)
def test_what_cannot_be_cut_is_refused(cosines: list[float], labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_threshold(np.array(cosines), np.array(labels))
