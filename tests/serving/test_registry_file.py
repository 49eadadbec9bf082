"""The registry read from its file says what MLflow says of it, whoever wrote it last."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from itrp.labels import Task
from serving.errors import NotFoundError, UnavailableError
from serving.model_files import find_missing_files
from serving.registry import CHALLENGER, CHAMPION, Registry
from serving.registry_file import RegistryFile, find_revision, open_quickly

NAME = "itrp-text-task"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1 with tags, version 2 as challenger, version 3 deleted."""
    found = Registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "cache")
    client = found.client
    client.create_registered_model(NAME)
    for number in (1, 2, 3):
        files = tmp_path / f"files {number}"
        (files / "artifacts/model").mkdir(parents=True)
        for name in ("model.json", "weights.safetensors"):
            (files / "artifacts/model" / name).touch()
        tags = {"itrp.mapping": "[1, 0]", "itrp.seed": str(number)} if number == 1 else {}
        client.create_model_version(NAME, files.as_uri(), f"run{number}", tags=tags)
    client.set_registered_model_alias(NAME, CHALLENGER, "2")
    client.delete_model_version(NAME, "3")
    return found


def test_versions_and_aliases_are_those_of_mlflow(registry: Registry) -> None:
    quick = open_quickly(registry.uri, registry.cache)
    assert isinstance(quick, RegistryFile)
    for reference in (f"{NAME}/1", f"{NAME}/2", f"{NAME}@challenger"):
        assert quick.resolve(reference) == registry.resolve(reference)
    assert quick.resolve(f"{NAME}/1").mapping == (1, 0)
    assert (quick.find(Task.TEXT, CHAMPION), quick.find(Task.IMAGE, CHALLENGER)) == (None, None)
    for reference in (f"{NAME}/3", f"{NAME}/4", f"{NAME}@champion", "itrp-image-task/1"):
        for each in (quick, registry):
            with pytest.raises(NotFoundError, match=f"no model is registered as {reference}"):
                each.resolve(reference)


def test_places_and_missing_files_are_those_of_mlflow(registry: Registry) -> None:
    quick, version = open_quickly(registry.uri, registry.cache), registry.resolve(f"{NAME}/2")
    assert quick.place_of(version) == registry.place_of(version)
    assert find_missing_files(quick, version) is None
    (registry.cache.parent / "files 2/artifacts/model/weights.safetensors").unlink()
    assert find_missing_files(quick, version) == registry.place_of(version)
    shutil.rmtree(registry.cache.parent / "files 2")
    assert find_missing_files(quick, version) == registry.place_of(version)


def test_the_revision_is_the_one_mlflow_expects() -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert find_revision() == _get_latest_schema_revision()


def test_tables_of_another_mlflow_are_left_to_mlflow(registry: Registry) -> None:
    with sqlite3.connect(registry.cache.parent / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
    assert type(open_quickly(registry.uri, registry.cache)) is Registry
    assert type(open_quickly("http://127.0.0.1:9", registry.cache)) is Registry


def test_before_the_first_training_there_is_an_empty_registry(tmp_path: Path) -> None:
    quick = open_quickly(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    assert quick.check() == "is not there yet: the first command that needs it makes it"
    assert quick.find(Task.TEXT, CHAMPION) is None
    assert not (tmp_path / "mlflow.db").exists()


def test_a_file_that_cannot_be_made_or_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no file can be made in .*/gone"):
        open_quickly(f"sqlite:///{tmp_path}/gone/mlflow.db", tmp_path).check()
    (tmp_path / "mlflow.db").write_text("no database")
    broken = open_quickly(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    assert type(broken) is Registry  # which says what is wrong
    with pytest.raises(
        UnavailableError, match=r"MLflow's database .*/mlflow.db cannot be read: file is not a database"
    ):
        RegistryFile(broken.uri, tmp_path).check()


def test_an_answer_costs_no_mlflow(registry: Registry) -> None:
    code = (
        "import sys; from pathlib import Path; from itrp.labels import Task; from serving.registry_file import open_quickly\n"
        "from serving.model_files import find_missing_files\n"
        "found = open_quickly(sys.argv[1], Path(sys.argv[2])); version = found.find(Task.TEXT, 'challenger')\n"
        "print(found.check(), version, find_missing_files(found, version), sorted({'mlflow', 'torch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, registry.uri, str(registry.cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"answers {NAME}/2 None []\n"
