"""Systems beside ITRp, all the way: trained, registered, evaluated, promoted, scored with."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select

from flows.jobs.evaluation import run_evaluation
from flows.jobs.promotion import run_promotion
from infra.catalog.queries import list_shards
from infra.catalog.tables import ModelRun
from itrp.data.shards import read_shard
from itrp.errors import UnmappedModelError, WrongUseError
from itrp.labels import Task
from serving.labels import decode_labels
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.jobs.evaluation import EvaluateReport
    from flows.jobs.training import TrainReport
    from flows.platform import Platform
    from serving.assessment import LabelledSet

TASKS = (Task.TEXT, Task.IMAGE)
CLASSES = {"text": "text_is_represented", "image": "image_adds"}
"""Column of a label file by task."""


@dataclass(frozen=True)
class Journey:
    """A platform on which one experiment was trained, and evaluated where it answers both tasks."""

    platform: "Platform"
    trained: "TrainReport"
    evaluated: "EvaluateReport | None" = None


Fork = Callable[[Path], "Platform"]


@pytest.fixture(scope="module")
def vanilla(fork: Fork, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """Version 3 of both models is k-means into four clusters; version 4 has names. The champion is still nobody."""
    from flows.jobs.training import run_training

    platform = fork(tmp_path_factory.mktemp("vanilla") / "work")
    trained = run_training(platform, "small-vanilla-kmeans", "unlabelled", ["pairs=40", "image.size=64"])
    return Journey(platform, trained, run_evaluation(platform, ["itrp-image-task/3", "itrp-text-task/3"], "labelled"))


@pytest.fixture(scope="module")
def joint(fork: Fork, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """Version 3 of both models is CMA-CLIP, trained on both tasks at once."""
    from flows.jobs.training import run_training

    platform = fork(tmp_path_factory.mktemp("joint") / "work")
    trained = run_training(platform, "small-cma-clip", "labelled", ["epochs=2", "pairs=40"], flow_run_id="train-joint")
    return Journey(platform, trained, run_evaluation(platform, ["itrp-text-task/3", "itrp-image-task/3"], "labelled"))


@pytest.fixture(scope="module", params=["vanilla", "joint"])
def journey(request: pytest.FixtureRequest) -> Journey:
    return request.getfixturevalue(request.param)


@pytest.fixture
def extended(vanilla: Journey) -> Iterator[Journey]:
    """For tests that register more versions: afterwards the challengers are what they were."""
    assert vanilla.evaluated is not None
    yield vanilla
    for reference in vanilla.evaluated.models:
        vanilla.platform.registry.set_alias(vanilla.platform.registry.resolve(reference), "challenger")


def load_labelled(platform: "Platform") -> "LabelledSet":
    from serving.assessment import load_labelled_set

    return load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)


def read_artifact(platform: "Platform", run_id: str, path: str) -> str:
    import mlflow

    run = platform.registry.client.get_run(run_id)
    return str(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{path}"))


def list_artifacts(platform: "Platform", run_id: str, folder: str) -> set[str]:
    return {item.path for item in platform.registry.client.list_artifacts(run_id, folder)}


def answer_by_hand(platform: "Platform", reference: str, shards: Any, folder: Path) -> np.ndarray:
    """[n] classes: the registered folder's model, its most probable output, its mapping."""
    import torch

    from itrp.inference.embeddings import EmbeddingCache
    from itrp.inference.prediction import predict_shards
    from itrp.systems import load_system

    model, mapping = load_system(platform.registry.fetch(platform.registry.resolve(reference)))
    assert mapping is not None
    outputs = predict_shards(model, shards, EmbeddingCache(folder, torch.device("cpu"))).argmax(axis=1)
    return np.asarray(mapping)[outputs]


def test_a_model_that_answers_both_tasks_becomes_a_version_of_both(journey: Journey) -> None:
    report, registry = journey.trained, journey.platform.registry
    assert report.task == "image-text"
    assert report.models == ["itrp-text-task/3", "itrp-image-task/3"]
    assert (report.model, report.version) == ("itrp-text-task", "3")
    versions = [registry.resolve(reference) for reference in report.models]
    assert [version.run_id for version in versions] == [report.run_id] * 2
    assert [version.tags["itrp.experiment"] for version in versions] == [report.experiment] * 2
    with journey.platform.catalog.session() as session:
        (run,) = session.scalars(select(ModelRun).where(ModelRun.mlflow_run_id == report.run_id))
        assert (run.experiment, run.task, run.rounds) == (report.experiment, "image-text", report.rounds)


def test_four_clusters_have_no_names_and_supervised_classes_have(vanilla: Journey, joint: Journey) -> None:
    for task in TASKS:
        unnamed, named = (each.platform.registry.resolve(f"itrp-{task}-task/3") for each in (vanilla, joint))
        assert (unnamed.mapping, unnamed.model_task) == (None, Task.IMAGE_TEXT)
        assert (named.mapping, named.model_task) == ((0, 1), task)
        assert named.tags["itrp.stand_ins"] == "yes"


def test_evaluation_names_the_relations_of_four_clusters_once(vanilla: Journey) -> None:
    """Each half gets its digit of the relation 2*T + I; together the two are one of the 24 mappings."""
    assert vanilla.evaluated is not None
    assert (vanilla.evaluated.task, vanilla.evaluated.n, vanilla.evaluated.round) == ("image-text", 16, 1)
    assert vanilla.evaluated.models == ["itrp-text-task/4", "itrp-image-task/4"]
    text, image = (vanilla.platform.registry.resolve(f"itrp-{task}-task/4") for task in TASKS)
    assert text.mapping is not None
    assert image.mapping is not None
    assert sorted(2 * t + i for t, i in zip(text.mapping, image.mapping, strict=True)) == [0, 1, 2, 3]
    for version in (text, image):
        assert version.tags["itrp.mapped_by"] == "dev"
        assert str(vanilla.platform.registry.resolve(f"{version.name}@challenger")) == str(version)
    described = vanilla.platform.registry.client.get_model_version("itrp-text-task", "4").description
    expected = ["text represented" if digit else "text not represented" for digit in text.mapping]
    assert described == f"Round 1; {', '.join(f'cluster {k} is {name!r}' for k, name in enumerate(expected))}."


def test_evaluation_registers_nothing_new_for_a_supervised_model(joint: Journey) -> None:
    assert joint.evaluated is not None
    assert joint.evaluated.models == ["itrp-text-task/3", "itrp-image-task/3"]
    assert [row["system"] for row in joint.evaluated.rows] == ["itrp-text-task/3 + itrp-image-task/3", "majority"]
    for task in TASKS:
        assert [version.version for version in joint.platform.registry.versions(task)] == ["3", "2", "1"]


def test_the_relation_is_that_of_both_halves(journey: Journey, tmp_path: Path) -> None:
    """F1 of both together and of each alone, counted without our evaluation."""
    from sklearn.metrics import f1_score

    assert journey.evaluated is not None
    labelled = load_labelled(journey.platform)
    answers = {
        task: answer_by_hand(journey.platform, reference, labelled.shards, tmp_path)
        for task, reference in zip(TASKS, journey.evaluated.models, strict=True)
    }
    test = labelled.annotations.split == "test"
    for task, reference in zip(TASKS, journey.evaluated.models, strict=True):
        truth = labelled.annotations.labels(task)
        alone = run_evaluation(journey.platform, [reference], "labelled")
        assert (alone.task, alone.n, alone.models) == (task, 16, [reference])
        assert alone.f1 == pytest.approx(
            f1_score(truth[test], answers[task][test], average="weighted", zero_division=0)
        )
    together = 2 * answers[Task.TEXT] + answers[Task.IMAGE]
    truth = labelled.annotations.labels(Task.IMAGE_TEXT)
    assert journey.evaluated.f1 == pytest.approx(
        f1_score(truth[test], together[test], average="weighted", zero_division=0)
    )


def test_the_halves_of_a_joint_network_do_not_answer_for_each_other(joint: Journey) -> None:
    """Both versions have the same weights; only the question differs."""
    from serving.assessment import Assessor

    platform, labelled = joint.platform, load_labelled(joint.platform)
    assessor = Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")
    text, image = (platform.registry.resolve(f"itrp-{task}-task/3") for task in TASKS)
    files = [platform.registry.fetch(version) / "weights.safetensors" for version in (text, image)]
    assert files[0].read_bytes() == files[1].read_bytes()
    probabilities = [assessor.own_probabilities(version, labelled) for version in (text, image)]
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-3


def test_a_run_leaves_metrics_parameters_card_and_pictures(vanilla: Journey, joint: Journey) -> None:
    for each, card, plots, figures in (
        (
            vanilla,
            "one clustering of the frozen features, a baseline",
            {"rounds", "clusters"},
            {"loss", "cluster_3_size"},
        ),
        (joint, "supervised (cma-clip)", {"rounds"}, {"loss", "held_out_f1_text", "held_out_f1_image"}),
    ):
        run = each.platform.registry.client.get_run(each.trained.run_id)
        assert run.info.status == "FINISHED"
        assert figures <= set(run.data.metrics)
        assert {"image-text/test_raw/dev/f1", "image-text/test_raw/dev/class_3/f1"} <= set(run.data.metrics)
        assert each.evaluated is not None
        assert run.data.metrics["image-text/test_raw/dev/f1"] == pytest.approx(each.evaluated.f1)
        history = each.platform.registry.client.get_metric_history(run.info.run_id, "image-text/test_raw/dev/f1")
        assert len(history) == 1
        text = read_artifact(each.platform, run.info.run_id, "model_card.md")
        assert card in text
        assert text.startswith(f"# {each.trained.experiment} (seed 0)")
        assert "Predicts for a tweet with an image: **text represented?** **image adds?** (image-text task)" in text
        assert (
            json.loads(read_artifact(each.platform, run.info.run_id, "config.json"))["name"] == each.trained.experiment
        )
        drawn = list_artifacts(each.platform, run.info.run_id, "plots")
        names = {*plots, "confusion_image-text_raw_dev"}
        assert {f"plots/{name}.png" for name in names} <= drawn
    assert run.data.params["network.name"] == "stand-in"
    assert "parts have random weights" in text


def test_the_epochs_are_a_curve_and_the_best_one_is_kept(joint: Journey) -> None:
    client = joint.platform.registry.client
    curves = [
        [point.value for point in client.get_metric_history(joint.trained.run_id, f"held_out_f1_{task}")]
        for task in TASKS
    ]
    best = int(np.argmax(np.mean(curves, axis=0))) + 1
    assert joint.platform.registry.resolve("itrp-text-task/3").tags["itrp.round"] == str(best)
    card = read_artifact(joint.platform, joint.trained.run_id, "model_card.md")
    assert f"2, of which number {best} is kept" in card


def promote_by_hand(platform: "Platform", references: list[str]) -> None:
    for reference in references:
        platform.registry.set_alias(platform.registry.resolve(reference), "champion")


def test_they_are_promoted_and_label_every_tweet(journey: Journey, tmp_path: Path) -> None:
    platform = journey.platform
    assert journey.evaluated is not None
    for task in TASKS:
        report = run_promotion(platform, task, data="labelled")
        assert report.figures["rival"] == "the most frequent class (no champion yet)"
        alone = run_evaluation(platform, [report.challenger], "labelled")
        assert report.figures["f1"] == pytest.approx(alone.f1)
    promote_by_hand(platform, journey.evaluated.models)  # whatever the gate thinks of models this small
    # by hand is in fp32, and vanilla clustering is so sure of itself that bf16 turns a label now and then
    exact = replace(platform, settings=platform.settings.model_copy(update={"precision": "fp32"}))
    scorer = pin_scorer(exact)
    rows = [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=True)]
    with platform.catalog.session() as session:
        shards = list_shards(session, "landing")
    stored = Counter(
        identity for shard in shards for identity in read_shard(platform.store.get(shard.key), ["id"])["id"].to_pylist()
    )
    tables = [decode_labels(platform.store.get(row.key)) for row in rows]
    assert Counter(identity for table in tables for identity in table["id"].to_pylist()) == stored
    assert set(stored.values()) == {1}
    from serving.files import local_shards

    files = local_shards(platform.store, shards, platform.settings.cache_dir)
    by_shard = {row.shard_id: table for row, table in zip(rows, tables, strict=True)}
    for task, reference in zip(TASKS, journey.evaluated.models, strict=True):
        expected = answer_by_hand(platform, reference, files, tmp_path)
        found = [label for shard in shards for label in by_shard[shard.id][CLASSES[task]].to_pylist()]
        assert found == expected.tolist()


def test_the_registered_model_answers_as_any_other(journey: Journey, built: Any) -> None:
    """mlflow.pyfunc: text and image in, label and probability of class 1 out."""
    import mlflow
    import pandas as pd

    assert journey.evaluated is not None
    journey.platform.registry.client  # noqa: B018  # points MLflow's module functions at this registry
    folder = built.drawn / "unlabelled"
    frame = pd.DataFrame(
        {
            "text": (folder / "text.txt").read_text().splitlines()[:3],
            "image": [(folder / f"images/{number}.jpg").read_bytes() for number in (1, 2, 3)],
        }
    )
    answers = mlflow.pyfunc.load_model(f"models:/{journey.evaluated.models[0]}").predict(frame)
    assert answers["label"].isin([0, 1]).all()
    assert answers["probability"].between(0, 1).all()
    assert (answers["probability"] > 0.5).tolist() == (answers["label"] == 1).tolist()
    if journey.trained.experiment == "small-vanilla-kmeans":
        unnamed = mlflow.pyfunc.load_model("models:/itrp-text-task/3")
        with pytest.raises(UnmappedModelError, match="this image-text model knows clusters but not yet which class"):
            unnamed.predict(frame)


def test_one_half_alone_gets_its_names_too(extended: Journey) -> None:
    report = run_evaluation(extended.platform, ["itrp-image-task/3"], "labelled", protocol="last")
    (reference,) = report.models
    assert (report.task, report.protocol, report.n) == ("image", "last", 16)
    assert [row["system"] for row in report.rows] == ["itrp-image-task/3", "majority", "vanilla kmeans", "vanilla gmm"]
    named, before = (extended.platform.registry.resolve(each) for each in (reference, "itrp-image-task/4"))
    assert named.mapping == before.mapping


def test_examples_name_four_clusters_and_no_supervised_classes(extended: Journey, joint: Journey) -> None:
    references = ["itrp-text-task/3", "itrp-image-task/3"]
    report = run_evaluation(extended.platform, references, "labelled", map_with="20", seed=1)
    assert (report.task, report.protocol) == ("image-text", "dev-20")
    assert report.naming == ("class names and checkpoint from 20 labelled pairs of the train split, drawn with seed 1")
    for reference in report.models:
        assert extended.platform.registry.resolve(reference).tags["itrp.mapped_by"] == "dev-20"
    assert joint.evaluated is not None
    asked = run_evaluation(joint.platform, references, "labelled", map_with="20")
    assert (asked.models, asked.f1, asked.naming) == (references, joint.evaluated.f1, "")


def test_oracle_is_an_upper_bound(vanilla: Journey, joint: Journey) -> None:
    for each in (vanilla, joint):
        assert each.evaluated is not None
        best = run_evaluation(each.platform, ["itrp-text-task/3", "itrp-image-task/3"], "labelled", protocol="oracle")
        assert best.models == ["itrp-text-task/3", "itrp-image-task/3"]
        if each is vanilla:
            assert best.accuracy >= each.evaluated.accuracy
        else:
            assert best.f1 == each.evaluated.f1  # nothing is left to choose


def test_halves_of_different_models_are_refused_together(extended: Journey) -> None:
    """Cluster 2 of one run is not cluster 2 of another, and no k = 2 model is the other half."""
    from flows.jobs.training import run_training

    other = run_training(
        extended.platform, "small-vanilla-kmeans", "unlabelled", ["pairs=40", "image.size=64", "seed=1"]
    )
    for references in (["itrp-text-task/3", other.models[1]], ["itrp-text-task/3", "itrp-image-task/2"]):
        with pytest.raises(WrongUseError) as caught:
            run_evaluation(extended.platform, references, "labelled")
        assert str(caught.value) == (
            "itrp-text-task/3 is one half of a model of four clusters: evaluate it alone, or with the other half of the "
            "same training run"
        )
