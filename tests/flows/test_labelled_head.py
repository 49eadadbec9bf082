"""From a few labels to a registered head, beside champions that have seen none; then evaluated, promoted, scored and asked."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flows.jobs.evaluation import run_evaluation
from flows.jobs.promotion import run_promotion
from flows.jobs.training import run_training
from itrp.data.look import LOOK_FOLDER
from itrp.errors import DataError
from itrp.labels import Task
from serving.registry import SUPERVISED_TAG, connect_mlflow
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform

SMALL = ["image.size=64", "head.alignment.image_directions=64", "head.alignment.partners=32"]
TRAIN, TEST = 64, 16
"""Pairs of the labelled data set by split."""


@pytest.fixture(scope="module")
def headed(fork: "Callable[[Path], Platform]", tmp_path_factory: pytest.TempPathFactory) -> tuple["Platform", Any]:
    """The trained platform with label-free champions, and a head for both tasks as challengers."""
    platform = fork(tmp_path_factory.mktemp("headed") / "work")
    for task in ("text", "image"):
        platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/2"), "champion")
    return platform, run_training(platform, "labelled-head", "labelled", SMALL)


def test_both_tasks_get_a_version_that_has_names(headed: tuple["Platform", Any]) -> None:
    platform, report = headed
    assert report.models == ["itrp-text-task/3", "itrp-image-task/3"]
    for task in (Task.TEXT, Task.IMAGE):
        version = platform.registry.resolve(f"itrp-{task}-task@challenger")
        assert (version.version, version.named, version.mapping, version.model_task) == ("3", True, (0, 1), task)
        assert version.tags[SUPERVISED_TAG] == "yes"
        assert version.tags[f"itrp.labels.{task}"] == str(TRAIN)


def test_it_says_how_it_stands_against_the_label_free_champions(headed: tuple["Platform", Any]) -> None:
    _, report = headed
    for task in ("text", "image"):
        told = [note for note in report.notes if note.startswith(f"{task}: ")]
        assert re.fullmatch(
            rf"{task}: {TRAIN} labels \(\d+ of class 0, \d+ of class 1\); cross-validated weighted F1 0\.\d+, AUC [01]\.\d+, "
            r"expected calibration error 0\.\d+ \(by chance alone 0\.\d+\)",
            told[0],
        )
        name = f"itrp-{task}-task"
        found = re.fullmatch(
            rf"{task}: {name}/3 is (better than|not better than) the label-free champion {name}/2: weighted F1 [01]\.\d+ against "
            rf"[01]\.\d+ of the label-free champion {name}/2 on {TEST} test pairs, difference [+-]\d\.\d+ \(95 % interval .+\), "
            r"better in (\d+\.\d)% of resamples \(needed 95%\); "
            rf"{TEST} labels are few: the interval is \d+ points wide, about \d+ more would halve it",
            told[1],
        )
        assert found is not None, told[1]
        assert (found[1] == "better than") is (float(found[2]) >= 95)


def test_mlflow_has_figures_a_reliability_plot_and_a_card(headed: tuple["Platform", Any]) -> None:
    platform, report = headed
    client = connect_mlflow(platform.registry.uri)
    run = client.get_run(report.run_id)
    metrics = run.data.metrics
    for task in ("text", "image"):
        assert metrics[f"{task}/labels_0"] + metrics[f"{task}/labels_1"] == TRAIN
        assert all(0 <= metrics[f"{task}/{name}"] <= 1 for name in ("cv_f1", "cv_auc", "cv_ece"))
        assert metrics[f"{task}/C"] > 0
    assert metrics["pairs"] == TRAIN + TEST
    files = {info.path for info in client.list_artifacts(report.run_id, "plots")}
    assert {"plots/reliability_text.png", "plots/reliability_image.png"} <= files
    card = run.data.tags["mlflow.note.content"]
    assert "| method | logistic regression on frozen features, from a few human labels |" in card
    assert "statistics of how the image looks" in card
    assert f"| text task | {TRAIN} labels (" in card
    version = client.get_model_version("itrp-image-task", "3")
    assert str(version.description).startswith(
        "A small head on frozen encoders that has learned from a few human labels"
    )


def test_it_is_evaluated_promoted_and_scores(
    headed: tuple["Platform", Any], itrp: Callable[..., Any], tmp_path: Path
) -> None:
    platform, report = headed
    evaluated = run_evaluation(platform, ["itrp-image-task@challenger"], "labelled")
    assert evaluated.models == ["itrp-image-task/3"]
    assert (evaluated.n, evaluated.naming) == (TEST, "")
    assert [row["system"] for row in evaluated.rows] == [
        "itrp-image-task/3",
        "majority",
        "vanilla kmeans",
        "vanilla gmm",
    ]
    for task in (Task.TEXT, Task.IMAGE):
        decided = run_promotion(platform, task)
        assert decided.figures["rival"] == f"itrp-{task}-task/2"
        line = next(note for note in report.notes if note.startswith(f"{task}: itrp-"))
        assert f"weighted F1 {decided.figures['f1']:.3f} against {decided.figures['rival_f1']:.3f} " in line
        assert decided.promoted is ("is better than" in line)
        run_promotion(platform, task, to="3")
    scorer = pin_scorer(platform)
    assert (scorer.pair.text.version, scorer.pair.image.version) == ("3", "3")
    work = find_work(platform.catalog, scorer.pair, backfill=True)
    assert sum(scorer.score(shard).pairs for shard in work) == sum(shard.pairs for shard in work) > 0
    kept = platform.settings.cache_dir / "embeddings" / LOOK_FOLDER
    assert all((kept / f"{shard.hash}.npy").exists() for shard in work)
    done = itrp(platform.settings.work_dir, "predict", "image", "--data", "labelled", "--out", tmp_path / "labels.csv")
    assert done.status == 0, done.err
    assert "labelled by itrp-image-task/3, the champion" in done.out


def test_the_registered_model_answers_as_it_evaluates(headed: tuple["Platform", Any], tmp_path: Path) -> None:
    """MLflow's pyfunc on a shard's own texts and images: the same collection, the same probabilities."""
    import mlflow
    import pandas as pd
    import pyarrow.parquet as pq

    from flows.jobs.model_predictions import open_assessor
    from serving.assessment import load_labelled_set

    platform, _ = headed
    labelled = load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)
    version = platform.registry.resolve("itrp-text-task/3")
    expected = open_assessor(platform).class_probabilities(version, labelled)
    (shard,) = labelled.shards
    table = pq.read_table(shard.path)
    frame = pd.DataFrame(
        {"text": table["text"].to_pylist(), "image": [each["bytes"] for each in table["image"].to_pylist()]}
    )
    connect_mlflow(platform.registry.uri)
    answered = mlflow.pyfunc.load_model("models:/itrp-text-task/3").predict(frame)
    assert answered["probability"].to_numpy() == pytest.approx(expected[:, 1], abs=1e-4)
    assert np.array_equal(answered["label"], expected.argmax(axis=1))


def test_a_data_set_without_labels_is_refused_before_anything_is_logged(headed: tuple["Platform", Any]) -> None:
    platform, _ = headed
    with pytest.raises(DataError) as caught:
        run_training(platform, "labelled-head", "unlabelled", SMALL)
    assert str(caught.value) == (
        "expected a data set with human labels, found none in 'unlabelled': label some pairs and ingest them with their labels "
        "(itrp ingest itr, itrp ingest csv); `itrp train small-aligned`, for the text task, needs no label"
    )
