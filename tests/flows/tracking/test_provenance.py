"""What a run writes down to be repeated."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import flows
from flows.tracking.provenance import describe_environment, find_commit, flatten


def git(*arguments: str) -> str:
    folder = Path(flows.__file__).parent
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_the_checkouts() -> None:
    found = find_commit()
    head = git("rev-parse", "HEAD")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)
    assert found.removesuffix("-dirty") == head


def test_outside_of_a_checkout_it_is_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "__file__", str(tmp_path / "flows/__init__.py"))
    assert find_commit() == f"release {version('itrp')}"
    (tmp_path / "flows").mkdir()
    assert find_commit() == f"release {version('itrp')}"


def test_changed_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout of its own: clean, then with a new file (which may be anything), a changed page, then with changed code."""
    room, docs = tmp_path / "flows", tmp_path / "docs"
    room.mkdir()
    docs.mkdir()
    (room / "__init__.py").write_text("")
    (docs / "page.md").write_text("")
    who = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(flows, "__file__", str(room / "__init__.py"))
    clean = find_commit()
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (room / "new.txt").write_text("new")
    assert find_commit() == clean
    (docs / "page.md").write_text("measured")
    assert find_commit() == clean
    (room / "__init__.py").write_text("changed = True\n")
    assert find_commit() == f"{clean}-dirty"


def test_versions_of_what_decides_the_outcome() -> None:
    found = describe_environment()
    assert {"python", "itrp", "torch", "scikit-learn", "mlflow", "prefect"} <= found.keys()
    assert found["numpy"] == version("numpy")


def test_nested_settings_are_named_as_overrides_are_written() -> None:
    tree = {"seed": 3, "text": {"name": "minilm", "optimizer": {"learning_rate": 5e-5}}, "pairs": None}
    assert flatten(tree) == {
        "seed": 3, "text.name": "minilm", "text.optimizer.learning_rate": 5e-5, "pairs": None,
    }  # fmt: skip
    assert flatten({}) == {}


def test_an_image_knows_the_commit_it_was_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pip install git+…`, and infra/docker/record_commit.py, note it in the installed package."""
    noted = tmp_path / "itrp-9.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text("Metadata-Version: 2.1\nName: itrp\nVersion: 9\n")
    (noted / "direct_url.json").write_text(
        '{"url": "https://x/itrp", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(flows, "__file__", str(tmp_path / "flows/__init__.py"))
    assert find_commit() == "c0ffee"
