"""A work folder that was moved or copied, with MLflow's own database in it."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.moved_folder import ARTIFACTS, follow_move
from infra.settings import Settings
from serving.registry import connect_mlflow

NAME = "itrp"


def settings_of(folder: Path) -> Settings:
    return Settings(work_dir=folder)


def places(folder: Path) -> set[str]:
    """Every address of an artifact that the database names."""
    found: set[str] = set()
    with sqlite3.connect(folder / "mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            query = f"SELECT {column} FROM {table} WHERE {column} LIKE 'file:%'"
            found |= {place for (place,) in database.execute(query)}
    return found


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A work folder with a run, a model and a version of it, and the run's id. Only to be copied."""
    folder = tmp_path_factory.mktemp("moved") / "work"
    folder.mkdir()
    client = connect_mlflow(settings_of(folder).mlflow_uri)
    experiment = client.create_experiment(NAME, artifact_location=(folder / ARTIFACTS).as_uri())
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "card", "model_card.md")
    model = client.create_logged_model(experiment, source_run_id=run_id)
    (folder / "weights").write_text("weights")
    client.log_model_artifact(model.model_id, str(folder / "weights"))
    client.create_registered_model("m")
    client.create_model_version("m", f"models:/{model.model_id}", run_id)
    return folder, run_id


def copy_of(tracked: tuple[Path, str], folder: Path) -> Path:
    return Path(shutil.copytree(tracked[0], folder))


def read_card(folder: Path, run_id: str, into: Path) -> str:
    client: Any = connect_mlflow(settings_of(folder).mlflow_uri)
    return Path(client.download_artifacts(run_id, "model_card.md", str(into))).read_text()


@pytest.mark.parametrize("name", ["elsewhere", "a b", "ü & 'quoted'", "with_[brackets]"])
def test_a_copy_names_its_own_artifacts(tracked: tuple[Path, str], tmp_path: Path, name: str) -> None:
    original = places(tracked[0])
    folder = copy_of(tracked, tmp_path / name)
    assert places(folder) == original
    follow_move(settings_of(folder))
    moved = places(folder)
    assert len(moved) == len(original) == 3
    assert all(place.startswith((folder / ARTIFACTS).as_uri()) for place in moved)
    assert places(tracked[0]) == original


def test_two_copies_do_not_write_into_each_other(tracked: tuple[Path, str], tmp_path: Path) -> None:
    folder, run_id = copy_of(tracked, tmp_path / "copy"), tracked[1]
    follow_move(settings_of(folder))
    client = connect_mlflow(settings_of(folder).mlflow_uri)
    client.log_text(run_id, "the copy's", "model_card.md")
    new = client.create_run(client.get_experiment_by_name(NAME).experiment_id)
    assert new.info.artifact_uri.startswith(folder.as_uri())
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert read_card(folder, run_id, tmp_path / "a") == "the copy's"
    assert read_card(tracked[0], run_id, tmp_path / "b") == "card"


def test_a_folder_may_move_again_and_home(tracked: tuple[Path, str], tmp_path: Path) -> None:
    folder, run_id = copy_of(tracked, tmp_path / "first"), tracked[1]
    for name in ("second", "third", "first"):
        follow_move(settings_of(folder))
        folder = folder.rename(tmp_path / name)
    follow_move(settings_of(folder))
    assert read_card(folder, run_id, tmp_path) == "card"


def test_artifacts_that_lie_only_at_the_former_place_are_copied(tracked: tuple[Path, str], tmp_path: Path) -> None:
    """What a version before this one wrote from a copy into its original."""
    folder, run_id = copy_of(tracked, tmp_path / "copy"), tracked[1]
    shutil.rmtree(folder / ARTIFACTS / run_id)
    follow_move(settings_of(folder))
    assert read_card(folder, run_id, tmp_path) == "card"
    assert (tracked[0] / ARTIFACTS / run_id).is_dir()
    assert not [*(folder / ARTIFACTS).rglob("*.draft")]


def test_many_processes_at_once(tracked: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_of(tracked, tmp_path / "copy")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(follow_move, settings_of(folder)) for _ in range(16)]:
            done.result()
    assert all(place.startswith((folder / ARTIFACTS).as_uri()) for place in places(folder))


def test_another_name_of_the_same_folder_is_no_move(tracked: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_of(tracked, tmp_path / "copy")
    follow_move(settings_of(folder))
    before = places(folder)
    (tmp_path / "link").symlink_to(folder)
    follow_move(settings_of(tmp_path / "link"))
    assert places(folder) == before


def test_a_database_that_work_folders_share_is_left_alone(tracked: tuple[Path, str], tmp_path: Path) -> None:
    shared = copy_of(tracked, tmp_path / "shared")
    before = places(shared)
    follow_move(Settings(work_dir=tmp_path / "mine", mlflow_uri=f"sqlite:///{shared}/mlflow.db"))
    follow_move(Settings(work_dir=tmp_path / "mine", mlflow_uri="http://127.0.0.1:1"))
    assert places(shared) == before


def test_a_folder_without_a_database_or_without_tables(tmp_path: Path) -> None:
    follow_move(settings_of(tmp_path))
    assert not [*tmp_path.iterdir()]
    sqlite3.connect(tmp_path / "mlflow.db").close()
    follow_move(settings_of(tmp_path))


def test_a_database_of_an_older_mlflow(tmp_path: Path) -> None:
    """Without logged models."""
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        database.execute("INSERT INTO experiments VALUES ('./mlruns/0'), ('file:///gone/mlflow-artifacts')")
        database.execute(
            "INSERT INTO runs VALUES ('file:///gone/mlflow-artifacts/1/artifacts'), ('file:///gone/mlflow-artifacts-2/1')"
        )
    follow_move(settings_of(tmp_path))
    here = (tmp_path / ARTIFACTS).as_uri()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert {*database.execute("SELECT * FROM experiments")} == {("./mlruns/0",), (here,)}
        found = {*database.execute("SELECT * FROM runs")}
    assert found == {(f"{here}/1/artifacts",), ("file:///gone/mlflow-artifacts-2/1",)}


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
    with pytest.raises(SettingsError, match=r"expected MLflow's database in /.*, found: file is not a database"):
        follow_move(settings_of(tmp_path))
