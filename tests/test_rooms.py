"""The tree of rooms, and what a room may know; which of them may import which is a matter of `make lint`."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
FOLDERS = {
    "itrp": {
        *("data", "datasets", "models", "clustering", "alignment", "inference", "training", "evaluation", "baselines"),
        *("analysis", "reproduction"),
    },
    "serving": {"review"},
    "infra": {"object_store", "catalog", "stack", "docker", "kubernetes"},
    "flows": {"jobs", "runtime", "tracking", "deployment", "cli"},
}
TO_COME = {"alignment", "review"}
FLAT = {
    *("labels", "errors", "config", "experiments", "randomness", "files"),
    *("pixel_format", "progress", "systems", "trained_model"),  # may move into a room
}
"""Modules of the method that belong to no room of it."""
LARGEST_FOLDER = 30
"""Python files directly in one folder: a list that is read at a glance. Two folders once held more than 60, and nobody found
anything in them by its name."""


def test_every_folder_is_a_room_of_the_plan() -> None:
    for room, planned in FOLDERS.items():
        found = folders_in(CHECKOUT / room)
        assert found <= planned, f"{room}/ has a folder that the plan does not know"
        assert planned - found <= TO_COME


def test_only_what_every_room_uses_lies_beside_the_rooms_of_the_method() -> None:
    assert {path.stem for path in (CHECKOUT / "itrp").glob("*.py")} - {"__init__"} <= FLAT


def test_no_folder_holds_more_files_than_one_finds_a_noun_in() -> None:
    folders = [CHECKOUT / room for room in FOLDERS]
    folders += [path for folder in folders for path in folder.rglob("*") if path.is_dir()]
    sizes = {path.relative_to(CHECKOUT).as_posix(): len([*path.glob("*.py")]) for path in folders}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FOLDER} == {}


def test_tests_stand_where_what_they_test_stands() -> None:
    for room, planned in FOLDERS.items():
        tests = CHECKOUT / "tests" / room
        assert {name for name in folders_in(tests) if [*(tests / name).rglob("test_*.py")]} <= planned


def folders_in(room: Path) -> set[str]:
    """Names of its folders that hold any file but those of Python's cache, which outlive a move."""
    files = [path.relative_to(room).parts for path in room.rglob("*") if path.is_file()]
    return {parts[0] for parts in files if len(parts) > 1 and "__pycache__" not in parts}


def test_the_method_is_usable_without_the_platform() -> None:
    """Every module of the room itrp imports where Prefect, MLflow, minio and SQLAlchemy cannot be."""
    program = """
import importlib, pkgutil, sys
for name in ("prefect", "mlflow", "minio", "sqlalchemy", "infra", "serving", "flows"):
    sys.modules[name] = None
import itrp

import pytest
names = [module.name for module in pkgutil.walk_packages(itrp.__path__, "itrp.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path.relative_to(CHECKOUT).as_posix()
        for room in ("itrp", "infra", "serving", "flows")
        for path in (CHECKOUT / room).rglob("*.py")
        if any(word in path.read_text() for word in ("os.getenv", "environ.get(", "environ["))
        and "docker" not in path.parts  # jobs of the containers, which run alone and are told by their environment
    ]
    # the demo points the settings at its own folder: it writes, and reads nothing. The settings name the secrets that other
    # libraries read themselves; the stack hands PATH and HOME on to its programs. Whether a
    # Prefect server is configured is Prefect's own setting, read where Prefect reads it, without the time its import takes.
    assert sorted(readers) == [
        "flows/demo.py",
        "flows/runtime/server_address.py",
        "infra/settings.py",
        "infra/stack/service.py",
    ]
    assert "environ.get" not in (CHECKOUT / "flows/demo.py").read_text()
