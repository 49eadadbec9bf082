"""Reproducing the paper's tables: the folder it starts from, runs that are made once, a kill in the middle, the page."""

import csv
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from infra.settings import Settings
from itrp.config import ExperimentConfig, override
from itrp.datasets.synthetic import write_itr_layout, write_twitter100k_layout
from itrp.errors import DataError, WeightsUnavailableError, WrongUseError
from itrp.evaluation.results import Protocol
from itrp.experiments import find_experiment
from itrp.labels import Task
from itrp.reproduction.grids import UserModels, list_cells

if TYPE_CHECKING:
    from flows.jobs.reproduction.desk import RunDesk
    from itrp.experiments import AnyConfig
    from itrp.reproduction.predictions import AnyPredictions

UNLABELLED, LABELLED = 40, 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Twitter100k layout and an ITR layout (48 train, 12 test) in one folder."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_twitter100k_layout(folder / "twitter100k", UNLABELLED, 31)
    write_itr_layout(folder / "relationship", LABELLED, 32)
    return folder


def open_desk_in(folder: Path, data: Path) -> "RunDesk":
    from flows.jobs.reproduction.grid_run import open_desk
    from flows.jobs.reproduction.sources import ingest_sources
    from flows.platform import open_platform

    platform = open_platform(Settings(work_dir=folder, device="cpu"))
    return open_desk(platform, ingest_sources(platform, data), "small")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, data: Path) -> "RunDesk":
    return open_desk_in(tmp_path_factory.mktemp("work"), data)


def quick(config: "AnyConfig") -> "AnyConfig":
    """The same experiment on small pictures, in two rounds or one epoch."""
    name = config.name
    if "zero-shot" in name:
        return config
    if hasattr(config, "network"):
        size = ["network.image.size=64"] if "clip" not in name and "lxmert" not in name else []
        return override(config, ["epochs=1", *size])
    return override(config, ["subset_size=20", "image.size=64", "clustering.n_init=1"])


def answer_quickly(desk: "RunDesk", config: "AnyConfig") -> "AnyPredictions":
    from flows.jobs.reproduction.runs import predict_run

    return predict_run(desk, quick(config))


def predict_by_hand(desk: "RunDesk", config: "AnyConfig") -> "AnyPredictions":
    """What a run of two rounds would leave, without the run: clusters drawn from experiment and seed."""
    from itrp.evaluation.cost import Cost
    from itrp.reproduction.predictions import RunPredictions

    assert isinstance(config, ExperimentConfig)  # tables 3 and 5 of the small preset hold no other
    draw = np.random.default_rng([config.seed, *config.name.encode()])
    clusters = draw.integers(0, 4 if config.task is Task.IMAGE_TEXT else 2, (2, LABELLED))
    cost = Cost(seconds_per_1000=2.0, gflop_per_1000=30.0, device="cpu, 1 threads")
    return RunPredictions(np.array([1, 2]), {config.task: clusters}, desk.labelled.dev_rows, False, cost)


def test_the_two_layouts_are_found_wherever_they_are_called(data: Path) -> None:
    from flows.jobs.reproduction.sources import _find_labels, _find_twitter100k

    assert _find_twitter100k(data) == data / "twitter100k"
    assert _find_labels(data) == data / "relationship/labels.csv"


@pytest.mark.parametrize("missing", ["text.txt", "labels.csv", "folder"])
def test_a_folder_without_a_layout_is_refused(tmp_path: Path, missing: str) -> None:
    from flows.jobs.reproduction.sources import _find_labels, _find_twitter100k

    if missing == "folder":
        with pytest.raises(WrongUseError, match="found no folder at"):
            _find_labels(tmp_path / "nowhere")
    elif missing == "text.txt":
        with pytest.raises(WrongUseError, match=r"a Twitter100k layout .* found no text.txt"):
            _find_twitter100k(tmp_path)
    else:
        (tmp_path / "other.csv").write_text("a,b\n1,2\n")
        with pytest.raises(WrongUseError, match="found no such label file"):
            _find_labels(tmp_path)


def test_the_sources_are_ingested_once(desk: "RunDesk", data: Path) -> None:
    from flows.jobs.reproduction.sources import ingest_sources

    again = ingest_sources(desk.platform, data)
    assert (again.unlabelled, again.labelled) == (desk.unlabelled.dataset.name, desk.labelled.name)
    assert (desk.unlabelled.pairs, len(desk.labelled.annotations)) == (UNLABELLED, LABELLED)
    assert desk.labelled.annotations.controversial.any()


def test_an_itrp_run_is_asked_after_every_round_and_run_once(desk: "RunDesk") -> None:
    config = quick(find_experiment("small-text"))
    answers = answer_quickly(desk, find_experiment("small-text"))
    assert answers.rounds.tolist() == [1, 2]  # type: ignore[union-attr]
    assert answers.clusters[Task.TEXT].shape == (2, LABELLED)  # type: ignore[union-attr]
    assert answers.dev_rows.tolist() == desk.labelled.dev_rows.tolist()
    assert answers.cost.gflop_per_1000 > 0
    place = desk.place_of(config)
    assert not (place / "rounds").exists()
    before = (place / "answers.npz").stat().st_mtime_ns
    assert answer_quickly(desk, find_experiment("small-text")).run_id == answers.run_id
    assert (place / "answers.npz").stat().st_mtime_ns == before


def test_a_run_is_a_child_of_the_reproduction_in_mlflow(desk: "RunDesk") -> None:
    from serving.registry import connect_mlflow

    answers = answer_quickly(desk, find_experiment("small-text"))
    run = connect_mlflow(desk.platform.settings.mlflow_uri).get_run(answers.run_id)
    assert run.data.tags["mlflow.parentRunId"] == desk.parent
    assert run.info.status == "FINISHED"
    assert "loss" in run.data.metrics
    assert run.inputs.dataset_inputs[0].dataset.name == desk.unlabelled.dataset.name


@pytest.mark.parametrize("experiment", ["small-cma-clip", "small-clip-text"])
def test_a_supervised_run_chooses_on_what_it_was_not_trained_on(desk: "RunDesk", experiment: str) -> None:
    answers = answer_quickly(desk, find_experiment(experiment))
    assert answers.named  # type: ignore[union-attr]
    wanted = {Task.TEXT, Task.IMAGE} if experiment == "small-cma-clip" else {Task.TEXT}
    assert set(answers.clusters) == wanted  # type: ignore[union-attr]
    assert set(answers.dev_rows) < set(desk.labelled.dev_rows)
    assert len(answers.dev_rows) == round(0.1 * len(desk.labelled.dev_rows))


def test_models_asked_without_training_answer_for_every_pair(desk: "RunDesk") -> None:
    similar = answer_quickly(desk, find_experiment("small-zero-shot-similarity"))
    assert similar.cosines.shape == (LABELLED,)  # type: ignore[union-attr]
    spoken = answer_quickly(desk, find_experiment("small-zero-shot-vlm"))
    assert spoken.clusters[Task.IMAGE_TEXT].shape == (1, LABELLED)  # type: ignore[union-attr]
    assert len(spoken.prompt_sha256) == 64  # type: ignore[union-attr]


def test_a_run_that_was_stopped_after_a_round_ends_as_an_undisturbed_one(desk: "RunDesk") -> None:
    """The checkpoint of round 1 is left, as a kill leaves it; round 2 is trained and both are asked."""
    from flows.jobs.reproduction.runs import predict_run
    from itrp.inference.embeddings import EmbeddingCache
    from itrp.models.itrp_model import build_model
    from itrp.training.trainer import Trainer
    from serving.files import local_shards

    config = override(quick(find_experiment("small-image")), ["seed=7"])
    undisturbed = predict_run(desk, config)
    place = desk.place_of(config)
    (place / "answers.json").unlink()
    cache = EmbeddingCache(desk.embeddings.folder, desk.embeddings.device, config.embed_batch_size)
    shards = local_shards(desk.platform.store, desk.unlabelled.shards, desk.platform.settings.cache_dir)
    next(Trainer(build_model(config), shards, cache=cache, checkpoints=place / "rounds").run())  # type: ignore[arg-type]
    resumed = predict_run(desk, config)
    np.testing.assert_array_equal(
        resumed.clusters[Task.IMAGE],
        undisturbed.clusters[Task.IMAGE],  # type: ignore[union-attr]
    )


def test_a_table_shows_every_cell_under_both_protocols(desk: "RunDesk") -> None:
    from flows.jobs.reproduction.grid_run import run_grid
    from serving.registry import connect_mlflow

    report = run_grid(desk, ["table3", "table5"], "small", 2, UserModels(), predict_by_hand)
    cells = list_cells("table3", "small") + list_cells("table5", "small")
    assert (report.cells, report.missing) == (len(cells), 0)
    with Path(report.csv).open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["table"], row["row"], row["task"], row["protocol"]) for row in rows}
    assert found == {
        (cell.table, cell.row, str(cell.task), protocol) for cell in cells for protocol in ("dev", "oracle")
    }
    assert all(len(row["f1_by_seed"].split()) == 2 and 0 <= float(row["f1_mean"]) <= 1 for row in rows)
    kmeans = next(row for row in rows if (row["row"], row["task"]) == ("ITRp (k-means)", "image-text"))
    assert kmeans["published"] == "56.6"
    assert float(kmeans["difference"]) == pytest.approx(100 * float(kmeans["f1_mean"]) - 56.6)
    page = Path(report.page).read_text()
    assert page.count("<h2>Table") == 2
    for row in {cell.row for cell in cells}:
        assert row in page
    assert "73.2" in page
    client = connect_mlflow(desk.platform.settings.mlflow_uri)
    parent = client.get_run(desk.parent)
    assert {"index.html", "cells.csv", "tables.txt"} <= {item.path for item in client.list_artifacts(desk.parent)}
    assert parent.data.metrics["table3/k_means/text/RL/oracle"] == pytest.approx(
        float(next(r for r in rows if (r["row"], r["task"], r["protocol"]) == ("k-means", "text", "oracle"))["f1_mean"])
    )


def test_what_cannot_be_run_leaves_its_cells_empty_with_the_reason(desk: "RunDesk", tmp_path: Path) -> None:
    from flows.jobs.reproduction.grid_run import run_grid

    def refuse_mixtures(desk: "RunDesk", config: "AnyConfig") -> "AnyPredictions":
        if "gmm" in config.name:
            raise DataError("no <mixture> fits & none can")
        return predict_by_hand(desk, config)

    report = run_grid(replace(desk, folder=tmp_path), ["table3"], "small", 1, UserModels(), refuse_mixtures)
    assert (report.cells, report.missing) == (6, 6)
    assert "GMM, text, RL: not run: no <mixture> fits & none can" in report.text
    assert "no &lt;mixture&gt; fits &amp; none can" in Path(report.page).read_text()


def test_weights_that_are_not_to_be_had_are_looked_for_once(desk: "RunDesk", tmp_path: Path) -> None:
    from flows.jobs.reproduction.grid_run import run_grid

    asked: list[str] = []

    def look(desk: "RunDesk", config: "AnyConfig") -> "AnyPredictions":
        asked.append(config.name)
        raise WeightsUnavailableError("no weights here")

    report = run_grid(replace(desk, folder=tmp_path), ["table3", "table4"], "small", 2, UserModels(), look)
    assert (report.cells, report.missing, len(asked)) == (0, 20, 1)


def test_the_figure_marks_stand_ins_and_published_figures(desk: "RunDesk") -> None:
    from itrp.reproduction.cells import fill_cell
    from itrp.reproduction.figure import draw_figure4
    from itrp.reproduction.page import render_page
    from itrp.reproduction.tables import Reproduction, format_tables

    answers = answer_quickly(desk, find_experiment("small-zero-shot-vlm"))
    cells = [cell for cell in list_cells("figure4", "small") if "vision-language" in cell.row]
    cells += [replace(cell, row="LXMERT", published=54.0) for cell in cells]
    results = [
        fill_cell(cell, protocol, [[answers]], desk.labelled.annotations, stand_in=cell.row != "LXMERT")
        for cell in cells
        for protocol in (Protocol.DEV, Protocol.ORACLE)
    ]
    made = Reproduction("small", 1, "cpu", {"code": "none"}, results, {}, on_itr=False)
    panels = draw_figure4(made, Protocol.DEV).axes
    assert [panel.get_title() for panel in panels] == ["text task", "image task", "image-text task"]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == ["vision-language model, zero-shot*", "LXMERT"]
    assert len(panels[0].lines) >= 3  # a diamond for each test set's published figure
    assert "random weights" in format_tables(made)
    assert "the differences prove nothing" in format_tables(made)
    assert "the differences prove nothing" not in format_tables(replace(made, on_itr=True))
    assert render_page(made).count("data:image/png;base64,") == 2


def test_the_command_goes_on_after_a_kill(
    tmp_path: Path, data: Path, spawn: "Callable[..., subprocess.Popen[str]]", prefect_server: str
) -> None:
    """kill -9 after the first runs; the second call makes only those that are missing, the third none."""
    arguments = ("reproduce", "table3", "--data", data, "--preset", "small", "--seeds", 1, "--json")
    server = {"PREFECT_API_URL": prefect_server}  # otherwise each call would start one
    first = spawn(tmp_path / "work", *arguments, **server)
    runs = tmp_path / "work/reproduce/small/runs"
    while first.poll() is None and len(list(runs.glob("*/answers.json"))) < 2:
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    done = len(list(runs.glob("*/answers.json")))
    assert 2 <= done < 6
    report = finish(spawn(tmp_path / "work", *arguments, **server))
    assert (report["runs"], report["new_runs"], report["cells"], report["missing"]) == (6, 6 - done, 12, 0)
    again = finish(spawn(tmp_path / "work", *arguments, **server))
    assert (again["new_runs"], again["mlflow_run"]) == (0, report["mlflow_run"])
    assert re.search(r"ITRp \(k-means\)", Path(again["page"]).read_text())


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate()
    assert process.returncode == 0, err[-2000:]
    report: dict[str, Any] = json.loads(out)
    return report
