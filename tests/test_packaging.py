"""What a wheel holds beside the code, and what looks after the repository: before a commit, and in continuous integration."""

import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ROOMS = ("itrp", "serving", "infra", "flows")


def test_every_file_that_is_not_code_is_named_as_package_data() -> None:
    """Templates and prompts are read at run time: from a checkout they are always there, from a wheel only if named."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for room, patterns in named.items() for each in patterns for path in (ROOT / room).glob(each)}
    files = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    # for those who run the platform from a checkout: nothing in them is read by what a wheel brings
    data = {
        path for path in files if path.suffix not in (".py", ".pyc") and not {"docker", "kubernetes"} & {*path.parts}
    }
    assert len(data) >= 4
    assert sorted(data - packed) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of what the repository has, by the tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", folder, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("itrp-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_says_its_licence_and_its_types(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    (licence,) = (name for name in names if name.endswith("/LICENSE"))
    text = wheel.read(licence).decode()
    assert text == (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0" in text
    assert "Copyright 2026 ITRp contributors" in text
    assert "itrp/py.typed" in names
    (described,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(described))
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert metadata["Author"] == "ITRp contributors"


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in packed} == set(ROOMS)
    files = {path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {name for name in packed if name.endswith(".py")} == {
        name for name in files if not name.startswith(("infra/docker/", "infra/kubernetes/"))
    }


def test_checks_before_a_commit_are_those_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]  # nothing is cloned
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    programs = [hook["entry"].split()[0] for hook in hooks]
    lint = re.findall(r"^\t\$\(VENV\)/(bin/\S+)", _recipe("lint"), re.M)
    assert [program.removeprefix(".venv/") for program in programs] == lint


def test_continuous_integration_runs_what_everybody_runs() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)
    commands = [step["run"] for step in steps if "run" in step]
    assert ".ci/run" in commands
    assert any("pip wheel" in command for command in commands)
    assert "secrets." not in (ROOT / ".github/workflows/ci.yml").read_text()
    installed = re.findall(r"missing\+=\(([a-z-]+)\)", (ROOT / ".ci/run").read_text())
    assert all(program in " ".join(commands) for program in installed)
    pythons = {step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")}
    assert pythons == {"3.11"}


def _recipe(target: str) -> str:
    """The lines of a target of the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert found is not None
    return found[1]
