"""`itrp analyse`: five analyses on the trained platform, their files and their MLflow runs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

if TYPE_CHECKING:
    from flows.platform import Platform

BOTH = ["itrp-text-task/2", "itrp-image-task/2"]
VOTES = "item,ann,bob\n1,1,1\n2,1,1\n3,0,0\n4,0,1\n"
ALPHA = 1 - 0.25 / (30 / 56)
"""Of VOTES, worked out in tests/itrp/analysis/test_annotators.py."""


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    path = tmp_path / "votes.csv"
    path.write_text(VOTES)
    return path


@pytest.fixture(scope="session")
def joint_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from itrp.baselines.stand_ins import write_clip

    return write_clip(tmp_path_factory.mktemp("joint"), seed=0)


def labelled_set(platform: "Platform") -> Any:
    from serving.assessment import load_labelled_set

    return load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)


def probabilities(platform: "Platform", task: str) -> np.ndarray:
    """[80, 2] by class of version 2, past everything under test."""
    from itrp.clustering.mapping import mapped_probabilities
    from itrp.inference.embeddings import EmbeddingCache
    from itrp.inference.prediction import predict_shards
    from itrp.models.device import choose_device
    from itrp.models.itrp_model import load_model

    model, mapping = load_model(platform.registry.fetch(platform.registry.resolve(f"itrp-{task}-task/2")))
    assert mapping is not None
    cache = EmbeddingCache(platform.settings.cache_dir / "embeddings", choose_device("cpu"))
    return mapped_probabilities(predict_shards(model, labelled_set(platform).shards, cache), mapping)


def check_run(platform: "Platform", report: Any, data_hash: str) -> Any:
    """The MLflow run holds the report's numbers, files and origin."""
    from flows.tracking.provenance import find_commit
    from serving.registry import connect_mlflow

    client = connect_mlflow(platform.settings.mlflow_uri)
    run = client.get_run(report.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "itrp"
    assert (run.info.run_name, run.info.status) == (f"analyse {report.what}", "FINISHED")
    assert run.data.tags["itrp.dataset_hash"] == data_hash
    assert run.data.tags["itrp.git_commit"] == find_commit()
    assert run.data.metrics == pytest.approx(report.figures)
    assert sorted(file.path for file in client.list_artifacts(report.run_id)) == sorted(report.files)
    assert sorted(path.name for path in Path(report.folder).iterdir()) == sorted(report.files)
    for name in report.files:
        if name.endswith(".png"):
            Image.open(Path(report.folder) / name).load()
    return run


def test_agreement(platform: "Platform", votes: Path) -> None:
    import hashlib

    from flows.jobs.analysis import analyse_agreement

    report = analyse_agreement(platform, votes)
    assert report.figures["alpha/votes"] == pytest.approx(ALPHA)
    assert report.files == ["agreement.csv", "agreement.png"]
    assert Path(report.folder) == platform.settings.work_dir / "analysis" / "agreement-votes"
    run = check_run(platform, report, hashlib.sha256(VOTES.encode()).hexdigest())
    assert (run.data.params["data"], run.data.params["level"]) == ("votes", "nominal")
    (row,) = pd.read_csv(Path(report.folder) / "agreement.csv").to_dict("records")
    assert (row["alpha"], row["items"], row["labels"]) == (pytest.approx(ALPHA), 4, 8)


def test_columns_of_any_name_become_metrics(platform: "Platform", tmp_path: Path) -> None:
    from flows.jobs.analysis import analyse_agreement

    table = tmp_path / "t.csv"
    table.write_text("item,annotator,is it sad?\n1,a,1\n1,b,1\n2,a,0\n2,b,0\n")
    report = analyse_agreement(platform, table, out=tmp_path / "out")
    from serving.registry import connect_mlflow

    metrics = connect_mlflow(platform.settings.mlflow_uri).get_run(report.run_id).data.metrics
    assert metrics["alpha/is it sad_"] == 1
    assert report.folder == str(tmp_path / "out")


def test_clip(platform: "Platform", joint_model: Path) -> None:
    from scipy.stats import spearmanr

    from flows.jobs.analysis import analyse_clip
    from itrp.labels import Task
    from itrp.models.device import choose_device
    from itrp.models.dual_encoder import load_dual_encoder

    labelled = labelled_set(platform)
    report = analyse_clip(platform, "labelled", str(joint_model))
    check_run(platform, report, labelled.hash)
    cosines = load_dual_encoder(str(joint_model)).cosines(labelled.shards, choose_device("cpu"))
    annotations = labelled.annotations
    test = annotations.split == "test"
    told = []
    for name, rows in (("controversial", test & annotations.controversial), ("test", test)):
        for state in ("raw", "corrected"):
            labels = annotations.labels(Task.IMAGE_TEXT, corrected=state == "corrected")[rows]
            if len(set(labels)) == 1:  # as the four controversial samples drawn here have it
                told.append(f"{name} {state}: no correlation, all {len(labels)} pairs have one score or one cosine")
                continue
            assert report.figures[f"{name}_{state}/n"] == len(labels)
            assert report.figures[f"{name}_{state}/spearman"] == pytest.approx(
                spearmanr(labels, cosines[rows]).statistic
            )
    assert report.notes == told
    assert report.figures["test_raw/n"] == 16
    table = pd.read_csv(Path(report.folder) / "cosines.csv", dtype={"id": str, "relation": str})
    assert table["id"].tolist() == annotations.ids.tolist()
    assert table["cosine"].to_numpy() == pytest.approx(cosines, abs=1e-6)
    assert set(table["relation"]) == {"00", "01", "10", "11"}


def test_words_of_models_and_people(platform: "Platform") -> None:
    from scipy.stats import pearsonr

    from flows.jobs.analysis import analyse_words
    from itrp.analysis.words import tokenize
    from itrp.data.inputs import read_texts

    labelled = labelled_set(platform)
    report = analyse_words(platform, "labelled", BOTH, fewest_tweets=5)
    assert report.models == BOTH
    run = check_run(platform, report, labelled.hash)
    assert (run.data.params["models"], run.data.params["fewest_tweets"]) == (", ".join(BOTH), "5")
    table = pd.read_csv(Path(report.folder) / "words.csv", keep_default_na=False)
    assert set(table["labels"]) == {"the model", "human labels"}
    texts = [tokenize(text) for shard in labelled.shards for text in read_texts(shard)]
    for task, positive in (("text", "text represented"), ("image", "image adds")):
        classes = {
            "the model": probabilities(platform, task).argmax(axis=1),
            "human labels": getattr(labelled.annotations, task),
        }
        for labeller, labels in classes.items():
            row = table[(table["class"] == positive) & (table["labels"] == labeller)].iloc[0]
            relative = [words.count(row["word"]) / len(words) for words in texts]
            assert row["correlation"] == pytest.approx(pearsonr(relative, labels).statistic)


def test_words_of_people_alone(platform: "Platform") -> None:
    from flows.jobs.analysis import analyse_words

    report = analyse_words(platform, "labelled")
    assert report.models == []
    (note,) = report.notes
    assert note.startswith("human labels only: no champion yet for the text and the image task")
    assert set(pd.read_csv(Path(report.folder) / "words.csv")["labels"]) == {"human labels"}


def test_cases(platform: "Platform") -> None:
    from flows.jobs.analysis import analyse_cases

    report = analyse_cases(platform, "labelled", list(reversed(BOTH)), examples=2)
    labelled = labelled_set(platform)
    check_run(platform, report, labelled.hash)
    table = pd.read_csv(Path(report.folder) / "cases.csv", dtype={"id": str})
    test = np.flatnonzero(labelled.annotations.split == "test")
    page = (Path(report.folder) / "cases.html").read_text(encoding="utf-8")
    assert "<dd>itrp-text-task/2, itrp-image-task/2</dd>" in page
    for task in ("text", "image"):
        predicted = probabilities(platform, task).argmax(axis=1)
        labels = getattr(labelled.annotations, task)
        differ = [row for row in test if predicted[row] != labels[row]]
        assert sorted(table["row"][table["task"] == task]) == differ
        assert report.figures[f"{task}/differ"] == pytest.approx(len(differ) / 16)
    shown = table[table["place"] <= 2]
    assert page.count("data:image/jpeg;base64,") == len(shown) > 0
    assert [match in page for match in shown["id"]] == [True] * len(shown)


def test_errors(platform: "Platform") -> None:
    from sklearn.metrics import average_precision_score

    from flows.jobs.analysis import analyse_errors

    report = analyse_errors(platform, "labelled", BOTH)
    labelled = labelled_set(platform)
    check_run(platform, report, labelled.hash)
    assert report.files == [
        "label_errors_summary.csv", "label_errors_text.csv", "label_errors_image.csv", "label_errors_image-text.csv",
        "label_errors.png",
    ]  # fmt: skip
    annotations = labelled.annotations
    doubtful = np.flatnonzero(annotations.controversial)
    both = pd.read_csv(Path(report.folder) / "label_errors_image-text.csv")
    assert sorted(both["row"][both["known_error"]]) == doubtful.tolist()
    assert len(doubtful) > 0
    text = pd.read_csv(Path(report.folder) / "label_errors_text.csv").set_index("row")
    assert sorted(text.index) == np.flatnonzero(annotations.split == "test").tolist()
    changed = annotations.text != annotations.corrected_text
    assert text["known_error"].to_dict() == {row: changed[row] for row in text.index}
    if changed.any():
        precision = average_precision_score(text["known_error"], -text["quality"])
        assert report.figures["text/average_precision"] == pytest.approx(precision)
        assert report.figures["text/lift"] == pytest.approx(precision / text["known_error"].mean())


def test_one_model_alone(platform: "Platform") -> None:
    from flows.jobs.analysis import analyse_errors

    report = analyse_errors(platform, "labelled", BOTH[1:])
    assert report.files == ["label_errors_summary.csv", "label_errors_image.csv", "label_errors.png"]


def test_a_data_set_without_controversial_samples(platform: "Platform", built: Any, joint_model: Path) -> None:
    from flows.jobs.analysis import analyse_clip, analyse_errors
    from flows.jobs.ingestion import ingest_folder
    from itrp.datasets.itr import ItrFolder

    folder = built.drawn / "labelled"
    ingest_folder(platform.store, platform.catalog, "plain", ItrFolder(folder / "labels.csv", folder, None, None))
    queued, note = analyse_errors(platform, "plain", BOTH).notes
    assert "tweets with doubtful labels wait in the queue errors: itrp review, or itrp sample" in queued
    assert note.startswith(
        "the data set 'plain' has no controversial samples, so candidates are ranked but compared with"
    )
    report = analyse_clip(platform, "plain", str(joint_model))
    assert [note.split(":")[0] for note in report.notes] == ["controversial raw", "controversial corrected"]
    assert set(report.figures) == {
        f"test_{labels}/{name}" for labels in ("raw", "corrected") for name in ("spearman", "p", "n")
    }


def test_models_that_cannot_answer_are_told(platform: "Platform") -> None:
    from flows.jobs.analysis import analyse_cases, analyse_words
    from itrp.errors import UnmappedModelError, WrongUseError
    from serving.errors import NotFoundError

    with pytest.raises(UnmappedModelError, match="itrp-text-task/1 knows clusters but not yet which class each one is"):
        analyse_cases(platform, "labelled", ["itrp-text-task/1"])
    with pytest.raises(WrongUseError, match="expected one model a task, found itrp-text-task/1, itrp-text-task/2"):
        analyse_cases(platform, "labelled", ["itrp-text-task/1", "itrp-text-task/2"])
    with pytest.raises(NotFoundError, match="no champion yet for the text and the image task"):
        analyse_cases(platform, "labelled")
    with pytest.raises(NotFoundError, match="no model is registered as itrp-text-task@champion"):
        analyse_words(platform, "labelled", ["itrp-text-task@champion"])
    with pytest.raises(NotFoundError, match="no data set is called 'nope'"):
        analyse_words(platform, "nope")


@pytest.mark.usefixtures("prefect_server")
def test_the_command(itrp: Callable[..., Any], scoring: "Platform", votes: Path, tmp_path: Path) -> None:
    """Champions by default; one JSON object, or the table and where everything lies."""
    work = scoring.settings.work_dir
    done = itrp(work, "analyse", "agreement", votes, "--level", "interval", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["figures"]["alpha/votes"] == pytest.approx(ALPHA)  # with two labels, distance is difference
    done = itrp(work, "analyse", "cases", "--data", "labelled", "--examples", "1", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    *_, last = done.out.splitlines()
    assert re.fullmatch(rf"cases\.csv, cases\.html in {tmp_path}/out; MLflow run \w{{32}}", last)
    assert (tmp_path / "out" / "cases.html").exists()
    for what in ("words", "errors"):
        done = itrp(work, "analyse", what, "--data", "labelled", "--json")
        assert done.status == 0, done.err
        assert json.loads(done.out)["models"] == BOTH


WRONG = {
    "no analysis": ([], "the following arguments are required: WHAT"),
    "unknown analysis": (["mood"], "invalid choice: 'mood'"),
    "no table": (["agreement"], "the following arguments are required: TABLE.csv"),
    "unknown level": (["agreement", "t.csv", "--level", "ratio"], "invalid choice: 'ratio'"),
    "no dual encoder": (["clip", "--data", "x"], "the following arguments are required: --dual-encoder/--joint"),
    "no data": (["words"], "the following arguments are required: --data"),
    "no reference": (
        ["cases", "--data", "x", "--models", "bert"],
        "expected a model such as itrp-text-task@challenger",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_in_one_line(
    itrp: Callable[..., Any], tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = itrp(tmp_path, "analyse", *arguments)
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert told in line


def test_a_wrong_table_is_told_before_anything_starts(itrp: Callable[..., Any], tmp_path: Path) -> None:
    done = itrp(tmp_path / "work", "analyse", "agreement", tmp_path / "none.csv")
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"itrp: expected an annotation table at {tmp_path}/none.csv, it cannot be read: ")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("what", ["agreement", "clip", "words", "cases", "errors"])
def test_every_analysis_has_help(itrp: Callable[..., Any], tmp_path: Path, what: str) -> None:
    done = itrp(tmp_path, "analyse", what, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: itrp analyse {what} ")
    assert "--json" in done.out
    assert "--out" in done.out
