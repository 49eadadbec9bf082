"""References, versions, aliases and files of registered models, in a real MLflow registry on SQLite."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from itrp.errors import UnmappedModelError, WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError, UnavailableError
from serving.registry import CHALLENGER, CHAMPION, Registry, origin_tags, parse_reference

if TYPE_CHECKING:
    from flows.platform import Platform
    from tests.serving.conftest import Registered


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("itrp-text-task@challenger", ("itrp-text-task", "", "challenger")),
        ("itrp-image-task@champion", ("itrp-image-task", "", "champion")),
        ("itrp-image-task/12", ("itrp-image-task", "12", "")),
    ],
)
def test_a_reference_names_an_alias_or_a_version(reference: str, parts: tuple[str, str, str]) -> None:
    assert parse_reference(reference) == parts


@pytest.mark.parametrize(
    "reference",
    [
        "itrp-text-task",
        "itrp-text-task@",
        "itrp-text-task/",
        "itrp-text-task/one",
        "itrp-text-task/-1",
        "bert/1",
        "@x",
        "",
    ],
)
def test_another_form_is_wrong_use(reference: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        parse_reference(reference)
    assert (
        str(caught.value)
        == f"expected a model such as itrp-text-task@challenger or itrp-image-task/3, found {reference!r}"
    )


def test_version_and_alias_lead_to_one_version(trained: "Platform") -> None:
    registry = trained.registry
    by_number, by_alias = registry.resolve("itrp-text-task/2"), registry.resolve("itrp-text-task@challenger")
    assert by_number == by_alias
    assert (str(by_number), by_number.task, by_number.short) == ("itrp-text-task/2", Task.TEXT, "2")
    assert sorted(by_number.mapping or ()) == [0, 1]
    assert registry.resolve("itrp-text-task/1").mapping is None
    assert registry.find(Task.TEXT, CHALLENGER) == by_number
    assert registry.find(Task.TEXT, CHAMPION) is None


@pytest.mark.parametrize("reference", ["itrp-text-task/9", "itrp-text-task@champion"])
def test_what_is_not_registered_is_told_with_what_is(trained: "Platform", reference: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        trained.registry.resolve(reference)
    assert str(caught.value) == (
        f"no model is registered as {reference}: itrp-text-task has the versions 1 to 2; "
        "write itrp-text-task/2, itrp-text-task@challenger or itrp-text-task@champion"
    )


def test_no_version_at_all_is_told_with_the_next_step(platform: "Platform") -> None:
    platform.registry.client.delete_registered_model("itrp-image-task")
    with pytest.raises(NotFoundError, match="itrp-image-task has no version yet; `itrp train` registers one"):
        platform.registry.resolve("itrp-image-task@challenger")


def test_an_outage_is_not_taken_for_an_empty_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry("http://127.0.0.1:9", tmp_path)
    with pytest.raises(UnavailableError, match=r"MLflow's registry failed: .*see `itrp doctor`"):
        registry.find(Task.TEXT, CHAMPION)


def test_champions_are_two_mapped_versions(platform: "Platform") -> None:
    registry = platform.registry
    with pytest.raises(
        NotFoundError, match="no champion yet for the text and the image task: train a model, then `itrp "
    ):
        registry.champions()
    registry.set_alias(registry.resolve("itrp-text-task/2"), CHAMPION)
    with pytest.raises(NotFoundError, match="no champion yet for the image task: "):
        registry.champions()
    registry.set_alias(registry.resolve("itrp-image-task/1"), CHAMPION)
    with pytest.raises(UnmappedModelError) as caught:
        registry.champions()
    assert str(caught.value) == (
        "itrp-image-task/1 knows clusters but not yet which class each one is; name them with human labels: "
        "itrp evaluate itrp-image-task/1 --data NAME, where NAME is a data set ingested with `itrp ingest itr`; without any: "
        "itrp name itrp-image-task/1 shows tweets of each cluster"
    )
    registry.set_alias(registry.resolve("itrp-image-task/2"), CHAMPION)
    assert str(registry.champions()) == "text 2, image 2"


def test_versions_come_newest_first(trained: "Platform") -> None:
    assert [version.version for version in trained.registry.versions(Task.IMAGE)] == ["2", "1"]


def test_ten_comes_before_nine(platform: "Platform") -> None:
    """Versions are numbers, not words."""
    source = platform.registry.resolve("itrp-text-task/2")
    for _ in range(8):
        platform.registry.client.create_model_version("itrp-text-task", source.source, source.run_id)
    found = [version.version for version in platform.registry.versions(Task.TEXT)]
    assert found == ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1"]
    with pytest.raises(NotFoundError, match="has the versions 1 to 10"):
        platform.registry.resolve("itrp-text-task/11")


def test_a_version_tells_where_it_comes_from(trained: "Platform") -> None:
    first, second = trained.registry.resolve("itrp-text-task/1"), trained.registry.resolve("itrp-text-task/2")
    assert first.run_id == second.run_id
    assert first.tags["itrp.mapping"] == "null"
    assert first.tags["itrp.round"] == "2"
    assert (first.tags["itrp.experiment"], first.tags["itrp.seed"]) == ("small-text", "0")
    assert first.tags["itrp.dataset"] == "unlabelled"
    assert len(first.tags["itrp.dataset_hash"]) == 64
    assert first.tags["itrp.git_commit"]
    assert second.tags["itrp.mapped_on"] == "labelled"
    assert second.tags["itrp.mapped_from"] == "1"
    assert not any(name.startswith("itrp.mapped_") for name in origin_tags(second))
    own = {"itrp.mapping", "itrp.round", "itrp.model_task"}
    assert origin_tags(first) == {key: value for key, value in first.tags.items() if key not in own}


def test_tags_of_the_gate_and_of_the_seeds_are_no_origin(platform: "Platform") -> None:
    version = platform.registry.resolve("itrp-text-task/2")
    platform.registry.tag(
        version, {"itrp.gate.f1": 0.5, "itrp.seeds.agreement": 0.9, "itrp.warning.one-class": "x", "itrp.note": "kept"}
    )
    again = platform.registry.resolve("itrp-text-task/2")
    assert again.tags["itrp.gate.f1"] == "0.5"
    assert origin_tags(again) == {**origin_tags(version), "itrp.note": "kept"}


def test_files_are_fetched_once(trained: "Platform", tmp_path: Path) -> None:
    registry = Registry(trained.registry.uri, tmp_path / "models")
    version = registry.resolve("itrp-image-task/2")
    folder = registry.fetch(version)
    assert folder == registry.folder_of(version)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"weights.safetensors", "model.json"} <= names
    (folder / "mark").touch()
    assert registry.fetch(version) == folder
    assert (folder / "mark").exists()
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".draft")]


def test_workers_with_one_process_id_fetch_side_by_side(registered: "Registered", tmp_path: Path) -> None:
    """Threads here, containers with a shared volume there."""
    from concurrent.futures import ThreadPoolExecutor

    registry = Registry(registered.registry.uri, tmp_path / "models")
    left = registry.folder_of(registered.version)
    old, young = (left.with_name(f"{left.name}.{name}.draft") for name in ("1", "2"))
    for draft in (old, young):  # of downloads that were killed long ago, and that may be under way
        (draft / "artifacts").mkdir(parents=True)
    os.utime(old, (1, 1))
    with ThreadPoolExecutor(8) as pool:
        folders = [*pool.map(lambda _: registry.fetch(registered.version), range(8))]
    assert set(folders) == {left}
    model = (registered.folder / "weights.safetensors").read_bytes()
    assert (left / "weights.safetensors").read_bytes() == model
    assert sorted(path.name for path in left.parent.iterdir()) == sorted([left.name, young.name])


def test_a_download_that_fails_leaves_nothing(registered: "Registered", tmp_path: Path) -> None:
    from dataclasses import replace

    from mlflow.exceptions import MlflowException

    registry = Registry(registered.registry.uri, tmp_path / "models")
    with pytest.raises(MlflowException):
        registry.fetch(replace(registered.version, version="99"))
    assert [*registry.cache.iterdir()] == []


def test_a_version_deleted_and_made_again_is_another_one(platform: "Platform") -> None:
    """A folder is named after what the version was made from, not after its number alone."""
    registry = platform.registry
    version, other = registry.resolve("itrp-text-task/2"), registry.resolve("itrp-text-task/1")
    before = registry.fetch(version)
    registry.client.delete_registered_model("itrp-text-task")
    registry.client.create_registered_model("itrp-text-task")
    for source in (version, other):  # now 2 is what was 1
        registry.client.create_model_version("itrp-text-task", source.source, source.run_id)
    assert registry.fetch(registry.resolve("itrp-text-task/2")) != before
