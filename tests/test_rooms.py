"""Rooms import each other in one direction only."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


def test_imports_go_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path.relative_to(CHECKOUT).as_posix()
        for room in ("itrp", "infra", "serving", "flows")
        for path in (CHECKOUT / room).rglob("*.py")
        if any(word in path.read_text() for word in ("os.getenv", "environ.get(", "environ["))
        and "docker" not in path.parts  # jobs of the containers, which run alone and are told by their environment
    ]
    # the demo points the settings at its own folder: it writes, and reads nothing. The settings name the secrets that other
    # libraries read themselves; the stack hands PATH and HOME on to its programs.
    assert sorted(readers) == ["flows/demo.py", "infra/settings.py", "infra/stack/service.py"]
    assert "environ.get" not in (CHECKOUT / "flows/demo.py").read_text()
