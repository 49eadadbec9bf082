"""`itrp train clip-aligned`: from a dual encoder to a champion that scores, with no label on the way."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from itrp.errors import UnmappedModelError
from itrp.labels import Task
from tests.matching_clip import Told, draw_pairs, write_matching_clip
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform

CPU = torch.device("cpu")
DATA = "colours"
MATCHING = 0.7


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matching_clip(tmp_path_factory.mktemp("matching") / "clip")


@pytest.fixture(scope="module")
def told() -> list[Told]:
    return draw_pairs(160, seed=3, matching=MATCHING)


@pytest.fixture(scope="module")
def colours(told: list[Told], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs in Twitter100k's layout."""
    folder = tmp_path_factory.mktemp("colours")
    (folder / "images").mkdir()
    for number, each in enumerate(told, start=1):
        (folder / f"images/{number}.jpg").write_bytes(each.pair.image)
    (folder / "text.txt").write_text("".join(f"{each.pair.text}\n" for each in told))
    return folder


@pytest.fixture(scope="module")
def unlabelled(colours: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> "Platform":
    """A platform without any human label, with clip-aligned as the first version of the text task."""
    from flows.jobs.training import run_training
    from flows.platform import open_platform
    from infra.settings import Settings

    platform = open_platform(Settings(work_dir=tmp_path_factory.mktemp("unlabelled") / "work", device="cpu"))
    ingest(platform, colours)
    report = run_training(platform, "clip-aligned", DATA, [f"dual_encoder={clip}"], flow_run_id="train-clip")
    assert (report.models, report.task, report.warnings) == (["itrp-text-task/1"], "text", [])
    return platform


def ingest(platform: "Platform", folder: Path) -> None:
    from flows.jobs.ingestion import ingest_folder
    from itrp.datasets.twitter100k import Twitter100kFolder

    ingest_folder(platform.store, platform.catalog, DATA, Twitter100kFolder(folder))


def share_right(labels: Sequence[int], told: list[Told]) -> float:
    return float(np.mean(np.asarray(labels) == np.array([each.matches for each in told])))


def test_its_run_tells_how_well_it_sees_what_belongs_together(unlabelled: "Platform") -> None:
    from serving.registry import connect_mlflow

    version = unlabelled.registry.resolve("itrp-text-task@challenger")
    assert (version.mapping, version.named, version.tags["itrp.aligned"]) == ((0, 1), True, "yes")
    assert float(version.tags["itrp.gate_auc"]) > 0.7
    client = connect_mlflow(unlabelled.settings.mlflow_uri)
    run = client.get_run(version.run_id)
    assert run.data.metrics["gate_auc"] == pytest.approx(float(version.tags["itrp.gate_auc"]), abs=1e-4)
    assert run.data.metrics["matched_share"] == pytest.approx(MATCHING, abs=0.15)
    assert run.data.params["alignment.partners"] == "256"
    plots = {file.path for file in client.list_artifacts(version.run_id, "plots")}
    assert plots == {"plots/match_scores.png"}  # more pairs would change nothing that is learned: no curve
    card = run.data.tags["mlflow.note.content"]
    assert "a dual encoder's similarity against that of chance pairs; no human label was used" in card
    described = client.get_model_version(version.name, version.version).description
    assert (
        described
        == "A dual encoder's similarity against that of chance pairs, without labels; its outputs are the classes."
    )


def test_it_labels_a_data_set_and_answers_as_a_pyfunc(unlabelled: "Platform", told: list[Told], tmp_path: Path) -> None:
    import mlflow

    from flows.jobs.prediction import run_prediction
    from serving.registry import connect_mlflow

    report = run_prediction(unlabelled, "text", DATA, tmp_path / "labels.csv")
    assert (report.labelled, report.without_label) == (160, 0)
    written = pd.read_csv(tmp_path / "labels.csv")
    assert share_right(written["label"].tolist(), told) > 0.85
    connect_mlflow(unlabelled.settings.mlflow_uri)
    rows = pd.DataFrame({"text": [each.pair.text for each in told], "image": [each.pair.image for each in told]})
    answers = mlflow.pyfunc.load_model("models:/itrp-text-task/1").predict(rows)
    np.testing.assert_allclose(answers["probability"], written["probability"], atol=1e-4)


def test_the_gate_judges_it_without_labels(unlabelled: "Platform", clip: Path) -> None:
    from flows.jobs.promotion import run_promotion
    from flows.jobs.training import run_training

    first = run_promotion(unlabelled, Task.TEXT)
    assert first.promoted
    assert "area 0." in first.reason
    assert "expected at least 0.70; no champion yet" in first.reason
    assert (first.figures["n"], float(first.figures["auc"]) > 0.7) == (160, True)
    run_training(unlabelled, "clip-aligned", DATA, [f"dual_encoder={clip}", "seed=1"])
    second = run_promotion(unlabelled, Task.TEXT)
    assert not second.promoted  # other chance pairs, the same encoder
    assert (second.figures["rival"], second.figures["rival_auc"]) == ("itrp-text-task/1", first.figures["auc"])
    assert float(second.figures["difference"]) == pytest.approx(0, abs=0.02)


def test_a_version_that_sees_nothing_is_named_by_labels_alone(platform: "Platform", tmp_path: Path) -> None:
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.promotion import run_promotion
    from flows.jobs.training import run_training
    from itrp.baselines.stand_ins import write_clip

    clip = write_clip(tmp_path / "clip", 1)
    report = run_training(platform, "clip-aligned", "unlabelled", [f"dual_encoder={clip}"])
    (warning,) = report.warnings
    assert "expected at least 0.70, so that its classes get no names" in warning
    version = platform.registry.resolve("itrp-text-task/3")
    assert version.mapping is None
    with pytest.raises(
        UnmappedModelError, match="itrp-text-task/3 has no class names and cannot score: the model tells"
    ):
        run_promotion(platform, Task.TEXT)
    evaluated = run_evaluation(platform, ["itrp-text-task/3"], "labelled")
    assert evaluated.models == ["itrp-text-task/4"]
    assert platform.registry.resolve("itrp-text-task/4").mapping is not None


def test_it_scores_beside_an_image_model_and_is_explained(
    platform: "Platform", clip: Path, colours: Path, built: Any
) -> None:
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.explain import explain_tweet
    from flows.jobs.training import run_training

    ingest(platform, colours)
    report = run_training(platform, "clip-aligned", DATA, [f"dual_encoder={clip}"])
    assert report.models == ["itrp-text-task/3"]
    for reference in ("itrp-text-task/3", "itrp-image-task/2"):
        platform.registry.set_alias(platform.registry.resolve(reference), "champion")
    scorer = pin_scorer(platform)
    rows = [scorer.score(shard, "score-1") for shard in find_work(platform.catalog, scorer.pair, backfill=False)]
    assert sum(row.pairs for row in rows) == 30
    batch = (built.drawn / "new" / "batch-0002" / "tweets.jsonl").read_text().splitlines()
    (stored,) = explain_tweet(platform, json.loads(batch[3])["id"])["stored"]
    model = stored["labels"][0]["models"][0]
    assert (model["model"], model["experiment"], model["dataset"]) == ("itrp-text-task/3", "clip-aligned", DATA)
    evaluated = run_evaluation(platform, ["itrp-text-task/3"], "labelled")
    assert evaluated.models == ["itrp-text-task/3"]  # it had its names
    for row in ("majority", "vanilla kmeans", "vanilla gmm"):
        assert row in evaluated.table


def test_the_command_line_tells_the_next_step(
    platform: "Platform", clip: Path, colours: Path, itrp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(platform, colours)
    done = itrp(platform.settings.work_dir, "train", "clip-aligned", f"dual_encoder={clip}", "--data", DATA)
    assert done.status == 0, done.err
    assert done.out.startswith("itrp-text-task/3 (challenger) from clip-aligned on colours: MLflow run ")
    assert "next: itrp promote text makes it the champion" in done.out
    missing = itrp(platform.settings.work_dir, "train", "clip-aligned", "dual_encoder=/nowhere", "--data", DATA)
    assert missing.status == 1
    assert "the dual encoder '/nowhere' was looked for as a local folder" in missing.err
