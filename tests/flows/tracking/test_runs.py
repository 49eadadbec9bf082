"""What a training run leaves in MLflow, and in the catalog."""

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from infra.catalog.queries import list_shards
from infra.catalog.tables import ModelRun
from infra.errors import StoreError
from itrp.errors import WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError

if TYPE_CHECKING:
    from flows.platform import Platform


@pytest.fixture
def run(built: Any) -> Any:
    """The MLflow run of the text model."""
    return built.platform.registry.client.get_run(built.trained["text"].run_id)


def text_of(platform: "Platform", run: Any, path: str) -> str:
    import mlflow

    platform.registry.client  # noqa: B018  # points MLflow's module functions at this registry
    return mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{path}")


def test_the_report_names_what_was_made(built: Any) -> None:
    report = built.trained["image"]
    assert (report.experiment, report.task, report.rounds) == ("small-image", "image", 2)
    assert (report.model, report.version) == ("itrp-image-task", "1")


def test_the_run_is_finished_and_says_where_it_comes_from(run: Any, trained: "Platform") -> None:
    from flows.jobs.datasets import find_data

    assert run.info.status == "FINISHED"
    assert run.info.run_name == "small-text seed 0"
    assert run.data.tags["itrp.dataset_hash"] == find_data(trained.catalog, "unlabelled").hash
    assert run.data.tags["itrp.git_commit"] == run.data.tags["mlflow.source.git.commit"]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|release .+", run.data.tags["itrp.git_commit"])
    assert run.data.tags["itrp.flow_run_id"] == "train-text"
    assert run.data.tags["mlflow.user"]
    assert run.data.tags["mlflow.source.name"]


def test_the_data_set_is_an_input(run: Any) -> None:
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("unlabelled", run.data.tags["itrp.dataset_hash"][:16])
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    assert '"pairs": "60"' in used.dataset.source


def test_parameters_are_the_resolved_configuration(run: Any, trained: "Platform") -> None:
    from flows.tracking.provenance import flatten
    from itrp.config import ExperimentConfig
    from serving.registration import MODEL_CONFIG

    config = json.loads(text_of(trained, run, "config.json"))
    ExperimentConfig.model_validate(config)
    # MLflow adds what whoever loads the model may change
    expected = {**flatten(config), **MODEL_CONFIG}
    assert run.data.params == {key: str(value) for key, value in expected.items()}
    assert (config["subset_size"], config["image"]["size"], config["batch_size"]) == (30, 64, 16)
    assert config["name"] == "small-text"


def test_every_round_is_a_step(run: Any, trained: "Platform") -> None:
    history = {name: trained.registry.client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    steps = {name: [point.step for point in points] for name, points in history.items()}
    for name in ("loss", "pairs", "cluster_0_size", "cluster_1_sampled", "seconds_train"):
        assert steps[name] == [1, 2], name
    assert steps["agreement_with_previous_round"] == [2]
    assert [point.value for point in history["pairs"]] == [30, 30]
    sizes = zip(history["cluster_0_size"], history["cluster_1_size"], strict=True)
    assert [first.value + second.value for first, second in sizes] == [30, 30]
    assert all(math.isfinite(point.value) and point.value > 0 for point in history["loss"])


def test_evaluation_adds_its_figures_to_the_run(built: Any, run: Any) -> None:
    report = built.evaluated["text"]
    assert run.data.metrics["text/test_raw/dev/f1"] == report.f1
    assert run.data.metrics["text/test_raw/dev/n"] == 16


def test_files_of_the_run(run: Any, trained: "Platform") -> None:
    client = trained.registry.client
    top = {info.path for info in client.list_artifacts(run.info.run_id)}
    assert {"config.json", "environment.json", "model_card.md", "plots"} <= top
    plots = {info.path for info in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/rounds.png", "plots/clusters.png", "plots/confusion_text_raw_dev.png"} <= plots
    environment = json.loads(text_of(trained, run, "environment.json"))
    assert {"python", "itrp", "torch", "mlflow", "scikit-learn"} <= environment.keys()
    card = text_of(trained, run, "model_card.md")
    assert card.startswith("# small-text (seed 0)\n")
    assert "**text represented?** (text task)" in card
    assert "| clustering, sampling | kmeans, k = 2, under |" in card
    assert run.data.tags["itrp.dataset_hash"] in card
    assert "| fine-tuned | text |" in card
    assert run.data.tags["mlflow.note.content"] == card


def test_the_registry_says_in_words_what_a_version_is(built: Any) -> None:
    client = built.platform.registry.client
    first, second = (client.get_model_version("itrp-text-task", number).description for number in ("1", "2"))
    assert first == (
        "Round 2; its clusters have no class names yet: `itrp evaluate` or `itrp name` gives them; until then it labels "
        "nothing."
    )
    mapping = built.platform.registry.resolve("itrp-text-task/2").mapping
    names = ("text not represented", "text represented")
    assert second.endswith(f"; cluster 0 is '{names[mapping[0]]}', cluster 1 is '{names[mapping[1]]}'.")
    assert client.get_registered_model("itrp-image-task").description.startswith("ITRp's image task: image adds? ")


def test_the_catalog_knows_the_run(built: Any) -> None:
    with built.platform.catalog.session() as session:
        runs = {row.task: row for row in session.scalars(select(ModelRun))}
    assert sorted(runs) == ["image", "text"]
    row, report = runs["text"], built.trained["text"]
    assert (row.mlflow_run_id, row.model_name, row.model_version) == (report.run_id, "itrp-text-task", "1")
    assert (row.experiment, row.seed, row.rounds, row.flow_run_id) == ("small-text", 0, 2, "train-text")
    assert row.config["subset_size"] == 30


def test_checkpoints_lie_in_the_store(built: Any) -> None:
    prefix = built.platform.registry.resolve("itrp-text-task/1").tags["itrp.checkpoints"]
    names = sorted(info.key.removeprefix(prefix) for info in built.platform.store.list(prefix))
    assert {name.partition("/")[0] for name in names} == {"round-0001", "round-0002"}
    assert sum(name.endswith("tuned.safetensors") for name in names) == 2
    assert not list((built.platform.settings.work_dir / "training").iterdir())


def test_a_run_that_breaks_is_marked_failed(platform: "Platform") -> None:
    """The shard is damaged: training starts, and ends in an error."""
    from flows.jobs.training import run_training

    with platform.catalog.session() as session:
        (shard,) = list_shards(session, "unlabelled")
    path = platform.store.local_path(shard.key)
    assert path is not None
    path.unlink()  # the trained platform's own file is another link
    path.write_bytes(b"not a shard")
    with pytest.raises(Exception, match=r"(?i)parquet"):
        run_training(platform, "small-image", "unlabelled", ["image.size=80", "seed=5"])
    client = platform.registry.client
    runs = client.search_runs([client.get_experiment_by_name("itrp").experiment_id], "attributes.status = 'FAILED'")
    assert [run.info.run_name for run in runs] == ["small-image seed 5"]
    assert [version.version for version in platform.registry.versions(Task.IMAGE)] == ["2", "1"]


def test_a_missing_shard_is_told(platform: "Platform") -> None:
    from flows.jobs.training import run_training

    with platform.catalog.session() as session:
        (shard,) = list_shards(session, "unlabelled")
    platform.store.delete([shard.key])
    with pytest.raises(StoreError):
        run_training(platform, "small-text", "unlabelled", ["image.size=64"])


def test_unknown_names_are_told(trained: "Platform") -> None:
    from flows.jobs.training import run_training

    with pytest.raises(WrongUseError, match="no experiment is called 'big-text'; known are paper-text, paper-image, "):
        run_training(trained, "big-text", "unlabelled")
    with pytest.raises(NotFoundError, match="no data set is called 'x': there are labelled, landing, unlabelled"):
        run_training(trained, "small-text", "x")
