"""The one trainer of all supervised systems: what it trains on, what it keeps, and what comes back from a folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from itrp.baselines.config import ClipConfig
from itrp.baselines.supervised_training import EpochResult, SupervisedTrainer
from itrp.config import override
from itrp.data.annotations import Annotations
from itrp.errors import DataError, WrongUseError
from itrp.experiments import find_experiment
from itrp.labels import UNLABELLED, Task

CPU = torch.device("cpu")
BOTH = (Task.TEXT, Task.IMAGE)

Start = Callable[..., SupervisedTrainer]


def weights_of(trainer: SupervisedTrainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    return [name for name, tensor in one.items() if not torch.equal(tensor, other[name])]


def unlabel(annotations: Annotations, task: Task, rows: NDArray[np.integer] | slice) -> Annotations:
    labels = annotations.labels(task).copy()
    labels[rows] = UNLABELLED
    return replace(annotations, **{str(task): labels})


@pytest.mark.parametrize("task", BOTH)
def test_32_pairs_are_learned_by_heart(clip_folder: Path, check_overfit: Callable[..., None], task: Task) -> None:
    """By a network of one task; the tests of each network let it learn both together."""
    check_overfit(ClipConfig(name=str(clip_folder)), steps=60, task=task)


def test_every_parameter_moves(start: Start) -> None:
    trainer = start(task=Task.IMAGE_TEXT, epochs=1)
    before = {name: parameter.clone() for name, parameter in trainer.model.named_parameters()}
    list(trainer.run())
    assert not trainer.model.training
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []


@pytest.mark.parametrize("assignment", ["network.text.finetune=false", "network.image.finetune=false"])
def test_a_frozen_part_is_refused_and_not_trained_in_silence(assignment: str) -> None:
    with pytest.raises(
        WrongUseError, match=f"a supervised system trains every parameter: {assignment[:-6]} must be true"
    ):
        override(find_experiment("small-bert-resnet-text"), [assignment])


def test_a_seed_decides_everything_and_another_seed_something_else(start: Start) -> None:
    first, second, other = start(seed=3), start(seed=3), start(seed=4)
    figures = [[(result.loss, result.held_out_f1) for result in trainer.run()] for trainer in (first, second, other)]
    assert figures[0] == figures[1]
    assert differing(weights_of(first), weights_of(second)) == []
    assert first.held_out_rows.tolist() == second.held_out_rows.tolist()
    assert figures[2] != figures[0]
    assert {"network.heads.text.weight", "network.heads.text.bias"} <= set(
        differing(weights_of(first), weights_of(other))
    )
    assert first.held_out_rows.tolist() != other.held_out_rows.tolist()


def test_the_callers_generators_are_left_alone(start: Start) -> None:
    before = torch.get_rng_state(), str(np.random.get_state())
    list(start(epochs=1).run())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]


def test_a_stratified_part_of_the_train_split_is_held_out(start: Start, annotations: Annotations) -> None:
    trainer = start(task=Task.IMAGE_TEXT, validation=0.25, seed=2)
    kept, held = trainer.train_rows, trainer.held_out_rows
    assert len(held) == 12
    assert sorted([*kept, *held]) == np.flatnonzero(annotations.split == "train").tolist()
    relations = annotations.labels(Task.IMAGE_TEXT)
    for relation in range(4):
        expected = 0.25 * (relations[np.concatenate((kept, held))] == relation).sum()
        assert abs((relations[held] == relation).sum() - expected) <= 1


def test_held_out_and_test_labels_teach_nothing(start: Start, annotations: Annotations) -> None:
    """With these labels exchanged the same weights come out; with those of the train rows others."""
    base = start(epochs=1, validation=0.25)
    list(base.run())
    for rows, same in ((base.held_out_rows[:1], True), (np.flatnonzero(annotations.split == "test"), True),
                       (base.train_rows[:1], False)):  # fmt: skip
        text = annotations.text.copy()
        text[rows] = 1 - text[rows]
        other = start(labels=replace(annotations, text=text), epochs=1, validation=0.25)
        # the same split: what is asked is what the labels do to the weights
        other.train_rows, other.held_out_rows = base.train_rows, base.held_out_rows
        list(other.run())
        assert (differing(weights_of(base), weights_of(other)) == []) is same


def test_corrected_labels_are_not_trained_on(start: Start, annotations: Annotations) -> None:
    base = start(epochs=1)
    other = start(labels=replace(annotations, corrected_text=1 - annotations.text), epochs=1)
    for trainer in (base, other):
        list(trainer.run())
    assert differing(weights_of(base), weights_of(other)) == []


def test_without_a_held_out_part_everything_is_trained_on_and_the_last_epoch_counts(
    start: Start, annotations: Annotations
) -> None:
    trainer = start(validation=0, epochs=3)
    assert trainer.train_rows.tolist() == np.flatnonzero(annotations.split == "train").tolist()
    assert trainer.held_out_rows.tolist() == []
    list(trainer.run())
    last = weights_of(trainer)
    assert trainer.keep_best().round == 3
    assert differing(last, weights_of(trainer)) == []


def test_the_first_labelled_pairs_can_be_chosen(start: Start, annotations: Annotations) -> None:
    labels = unlabel(annotations, Task.TEXT, slice(0, 10))
    trainer = start(labels=labels, pairs=8, validation=0.25)
    # rows 10 to 19 without the test rows 14 and 19
    assert sorted([*trainer.train_rows, *trainer.held_out_rows]) == [10, 11, 12, 13, 15, 16, 17, 18]
    assert len(trainer.held_out_rows) == 2


def test_the_best_epoch_comes_back(start: Start) -> None:
    trainer = start(task=Task.IMAGE_TEXT, validation=0.25, epochs=6)
    with pytest.raises(DataError, match="expected at least one trained epoch, found none"):
        trainer.keep_best()
    states, results = [], []
    for result in trainer.run():
        results.append(result)
        states.append(weights_of(trainer))
    scores = [np.mean([result.held_out_f1[task] for task in BOTH]) for result in results]
    best = trainer.keep_best()
    assert best.round == int(np.argmax(scores)) + 1  # of equals the first
    assert best.round < 6, "choose another seed: the last epoch is the best, and nothing would be put back"
    assert differing(states[best.round - 1], weights_of(trainer)) == []
    assert differing(states[-1], weights_of(trainer)) != []
    for task, classes in trainer.predict(trainer.held_out_rows).items():
        known = trainer.labels[task][trainer.held_out_rows]
        assert best.held_out_f1[task] == pytest.approx(f1_score(known, classes, average="weighted", zero_division=0))


def test_figures_name_everything_worth_a_curve() -> None:
    result = EpochResult(2, 3, 20, 0.5, {Task.TEXT: 0.75, Task.IMAGE: 0.25}, {"train": 1.5})
    assert dict(result.figures()) == {
        "loss": 0.5, "pairs": 20, "held_out_f1_text": 0.75, "held_out_f1_image": 0.25, "seconds_train": 1.5,
    }  # fmt: skip
    assert result.score == 0.5
    assert EpochResult(2, 3, 20, 0.5, {}).score == 2


def test_pairs_without_a_label_for_a_task_do_not_count_in_its_loss(start: Start, annotations: Annotations) -> None:
    """One batch by hand: the sum over the tasks of the mean cross-entropy over that task's labelled rows."""
    labels = unlabel(annotations, Task.IMAGE, np.arange(0, 60, 2))
    trainer = start(labels=labels, task=Task.IMAGE_TEXT, validation=0)
    rows = np.arange(12)
    loss = expected_loss(trainer, rows)
    assert float(trainer._step(rows)) == pytest.approx(loss, abs=1e-5)


def expected_loss(trainer: SupervisedTrainer, rows: NDArray[np.integer]) -> float:
    trainer.model.eval()
    with torch.inference_mode():
        logits = trainer.model.network(trainer.model.network.collate(trainer.inputs, rows, CPU))
    total = 0.0
    for task, values in logits.items():
        known = trainer.labels[task][rows]
        chances = torch.log_softmax(values.double(), dim=1).numpy()
        picked = [-chances[row, label] for row, label in enumerate(known) if label != UNLABELLED]
        assert 0 < len(picked) <= len(rows)
        total += float(np.mean(picked))
    return total


def test_a_batch_without_any_label_for_a_task_leaves_its_head_alone(start: Start, annotations: Annotations) -> None:
    trainer = start(labels=unlabel(annotations, Task.IMAGE, slice(0, 12)), task=Task.IMAGE_TEXT, validation=0)
    before = weights_of(trainer)
    assert np.isfinite(float(trainer._step(np.arange(12))))
    changed = differing(before, weights_of(trainer))
    assert not [name for name in changed if name.startswith("network.heads.image")]
    assert [name for name in changed if name.startswith("network.heads.text")]


def test_pairs_with_one_label_are_trained_on_jointly_and_left_out_alone(start: Start, annotations: Annotations) -> None:
    labels = unlabel(annotations, Task.IMAGE, slice(0, 20))
    assert len(start(labels=labels, task=Task.IMAGE_TEXT, validation=0).train_rows) == 48
    assert len(start(labels=labels, task=Task.TEXT, validation=0).train_rows) == 48
    assert start(labels=labels, task=Task.IMAGE, validation=0).train_rows.min() == 20


@pytest.mark.parametrize("task", [Task.TEXT, Task.IMAGE_TEXT])
def test_too_few_labels_are_told(start: Start, annotations: Annotations, task: Task) -> None:
    few = annotations
    for each in BOTH:
        few = unlabel(few, each, slice(3, None))
    with pytest.raises(DataError, match="supervised training needs labelled pairs in the train split, found 3"):
        start(labels=few, task=task)
    test_only = replace(annotations, split=np.full(60, "test"))
    with pytest.raises(DataError, match="supervised training needs labelled pairs in the train split, found 0"):
        start(labels=test_only, task=task)


def test_a_task_that_nobody_has_labelled_cannot_be_learned(start: Start, annotations: Annotations) -> None:
    """Its head would be registered as it was drawn."""
    with pytest.raises(
        DataError, match=r"needs labelled pairs of every task in the train split, found none of the image"
    ):
        start(labels=unlabel(annotations, Task.IMAGE, slice(None)), task=Task.IMAGE_TEXT)


@pytest.mark.parametrize("validation", [0.01, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("pairs", [4, 10, 48])
def test_any_share_can_be_held_out_and_something_is_always_trained_on(
    start: Start, validation: float, pairs: int
) -> None:
    trainer = start(task=Task.IMAGE_TEXT, pairs=pairs, validation=validation)
    assert len(trainer.train_rows) + len(trainer.held_out_rows) == pairs
    assert min(len(trainer.train_rows), len(trainer.held_out_rows)) >= 1
    assert not set(trainer.train_rows) & set(trainer.held_out_rows)
