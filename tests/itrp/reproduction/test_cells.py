"""Answers kept on disk, and cells filled in from them, with figures worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itrp.data.annotations import Annotations
from itrp.errors import DataError
from itrp.evaluation.cost import Cost
from itrp.evaluation.results import Protocol
from itrp.labels import Task
from itrp.reproduction.cells import fill_cell
from itrp.reproduction.grids import Cell, RunSpec, SystemSpec
from itrp.reproduction.predictions import AnyPredictions, RunPredictions, SimilarityPredictions, load_predictions

COST = Cost(seconds_per_1000=2.0, gflop_per_1000=30.0, device="cpu, 1 threads")
TEXT = np.array([0, 0, 1, 1, 0, 0, 1, 1])
IMAGE = np.array([0, 1, 0, 1, 0, 1, 0, 1])
ANNOTATIONS = Annotations(
    ids=np.array([str(row) for row in range(8)]),
    split=np.array(["train"] * 4 + ["test"] * 4),
    text=TEXT,
    image=IMAGE,
    controversial=np.array([False] * 7 + [True]),
    corrected_text=np.array([0, 0, 1, 1, 0, 0, 1, 0]),
    corrected_image=IMAGE,
)
"""Four dev rows, four test rows, each with the relations 00, 01, 10, 11; the last one is 01 after correction."""
DEV = np.arange(4)


def answers_about(task: Task, *rounds: list[int], named: bool = False) -> RunPredictions:
    return RunPredictions(np.arange(1, len(rounds) + 1), {task: np.array(rounds)}, DEV, named, COST)


def cell_of(task: Task, set_name: str = "raw", published: float | None = None) -> Cell:
    spec = RunSpec("small-text")
    return Cell("table3", "a system", task, set_name, SystemSpec(spec, spec), published)


TURNED = [1, 1, 0, 0, 1, 1, 0, 0]
"""The text labels with their clusters the other way round."""
ONE_WRONG = [1, 1, 0, 1, 1, 1, 0, 0]
"""The same but for one dev pair; the test pairs are all right."""


def test_dev_does_not_look_at_the_test_labels() -> None:
    """Round 1 is perfect on dev and wrong on half of test; round 2 the other way round."""
    answers = answers_about(Task.TEXT, [0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0, 1, 1])
    uncorrected = replace(ANNOTATIONS, corrected_text=TEXT)
    dev = fill_cell(cell_of(Task.TEXT), Protocol.DEV, [[answers]], uncorrected)
    oracle = fill_cell(cell_of(Task.TEXT), Protocol.ORACLE, [[answers]], uncorrected)
    assert dev.mean == 0.5
    assert oracle.mean == 1.0


def test_oracle_maps_on_published_labels_and_judges_by_corrected_ones() -> None:
    """As the paper's statistics do, for every set. Round 1 is right about the published labels, round 2 about the corrected
    ones; three clusters of four say the same either way, so both get the same mapping."""
    answers = answers_about(Task.TEXT, [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0, 1, 0])
    for set_name, f1 in (("raw", (2 * 0.8 + 2 * 2 / 3) / 4), ("RL", 1.0), ("RM", 1.0)):
        result = fill_cell(cell_of(Task.TEXT, set_name), Protocol.ORACLE, [[answers]], ANNOTATIONS)
        assert result.mean == pytest.approx(f1), set_name


def test_clusters_get_their_names_and_the_corrected_label_counts_on_rl() -> None:
    answers = answers_about(Task.TEXT, TURNED)
    assert fill_cell(cell_of(Task.TEXT), Protocol.DEV, [[answers]], ANNOTATIONS).mean == 1.0
    corrected = fill_cell(cell_of(Task.TEXT, "RL"), Protocol.DEV, [[answers]], ANNOTATIONS)
    # labels 0 0 1 0, predictions 0 0 1 1: F1 of class 0 is 0.8 (weight 3), of class 1 is 2/3 (weight 1)
    assert corrected.mean == pytest.approx((3 * 0.8 + 2 / 3) / 4)
    assert fill_cell(cell_of(Task.TEXT, "RM"), Protocol.DEV, [[answers]], ANNOTATIONS).n == 3


def test_supervised_classes_are_not_renamed() -> None:
    answers = answers_about(Task.TEXT, TURNED, named=True)
    assert fill_cell(cell_of(Task.TEXT), Protocol.DEV, [[answers]], ANNOTATIONS).mean == 0.0


def test_two_models_answer_the_image_text_task_together() -> None:
    runs: list[AnyPredictions] = [answers_about(Task.TEXT, TURNED), answers_about(Task.IMAGE, IMAGE.tolist())]
    result = fill_cell(cell_of(Task.IMAGE_TEXT), Protocol.DEV, [runs], ANNOTATIONS)
    assert (result.mean, result.n) == (1.0, 4)
    assert result.cost.seconds_per_1000 == 4.0
    assert fill_cell(cell_of(Task.IMAGE), Protocol.DEV, [runs], ANNOTATIONS).cost == COST


def test_one_model_of_four_clusters_is_read_as_all_three_tasks() -> None:
    relations = (2 * TEXT + IMAGE)[None].tolist()
    answers = answers_about(Task.IMAGE_TEXT, *relations)
    for task in Task:
        result = fill_cell(cell_of(task), Protocol.DEV, [[answers]], ANNOTATIONS)
        assert (result.mean, result.cost) == (1.0, COST)


def test_mean_and_deviation_are_over_seeds_and_the_difference_is_in_points() -> None:
    perfect, half = answers_about(Task.TEXT, TURNED), answers_about(Task.TEXT, [0, 0, 1, 1, 0, 1, 1, 0])
    result = fill_cell(cell_of(Task.TEXT, published=70.0), Protocol.DEV, [[perfect], [half]], ANNOTATIONS)
    assert result.f1 == (1.0, 0.5)
    assert result.mean == 0.75
    assert result.deviation == pytest.approx(np.sqrt(0.125))
    assert result.difference == pytest.approx(5.0)
    assert result.low <= result.mean <= result.high
    alone = fill_cell(cell_of(Task.TEXT), Protocol.DEV, [[perfect]], ANNOTATIONS)
    assert (alone.deviation, alone.difference) == (None, None)


def test_the_threshold_is_the_protocols() -> None:
    """On dev the represented pairs are above 0.5, on test above 0.1."""
    cosines = np.array([0.2, 0.3, 0.7, 0.8, 0.0, 0.05, 0.2, 0.3], dtype=np.float32)
    answers = SimilarityPredictions(cosines, DEV, COST)
    assert fill_cell(cell_of(Task.TEXT), Protocol.ORACLE, [[answers]], ANNOTATIONS).mean == 1.0
    # under dev all test pairs lie below: all are called 0, of which half are right: F1 (2/3 + 0) / 2
    assert fill_cell(cell_of(Task.TEXT), Protocol.DEV, [[answers]], ANNOTATIONS).mean == pytest.approx(1 / 3)


def test_a_task_that_was_not_asked_is_refused() -> None:
    with pytest.raises(DataError, match="expected predictions about text, found the image task"):
        fill_cell(cell_of(Task.IMAGE), Protocol.DEV, [[answers_about(Task.TEXT, TURNED)]], ANNOTATIONS)


def test_answers_come_back_from_disk(tmp_path: Path) -> None:
    written = RunPredictions(
        np.array([1, 2]), {Task.TEXT: np.array([TURNED, ONE_WRONG])}, DEV, False, COST, "run", "prompt"
    )
    written.save(tmp_path / "a")
    read = load_predictions(tmp_path / "a")
    assert isinstance(read, RunPredictions)
    np.testing.assert_array_equal(read.clusters[Task.TEXT], written.clusters[Task.TEXT])
    np.testing.assert_array_equal(read.rounds, [1, 2])
    np.testing.assert_array_equal(read.dev_rows, DEV)
    assert (read.named, read.cost, read.run_id, read.prompt_sha256) == (False, COST, "run", "prompt")
    SimilarityPredictions(np.array([0.5], dtype=np.float32), DEV, COST, "other").save(tmp_path / "b")
    similar = load_predictions(tmp_path / "b")
    assert isinstance(similar, SimilarityPredictions)
    assert (similar.cosines.tolist(), similar.run_id) == ([0.5], "other")


def test_half_written_answers_are_none(tmp_path: Path) -> None:
    assert load_predictions(tmp_path) is None
    answers_about(Task.TEXT, TURNED).save(tmp_path)
    (tmp_path / "answers.json").unlink()
    assert load_predictions(tmp_path) is None
