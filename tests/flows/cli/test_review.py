"""`itrp review` as a command: accounts, wrong use, the demo's folder."""

import json
from pathlib import Path

import pytest

from flows.cli.main import main, parse_arguments
from flows.cli.review import PORT, _find_demo
from flows.demo import MARKER
from infra.catalog.database import open_catalog
from infra.settings import Settings
from serving.review.accounts import Accounts

pytestmark = pytest.mark.usefixtures("log_as_before")


def run_here(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main([*words])
    return status, *capfd.readouterr()


def test_a_person_is_added_with_a_password_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ITRP_WORK_DIR", str(tmp_path))
    monkeypatch.setenv("ITRP_REVIEW_PASSWORD", "a short sentence")
    status, told, _ = run_here(capfd, "review", "add-person", "ana", "--json")
    assert (status, json.loads(told)) == (0, {"person": "ana"})
    catalog = open_catalog(Settings(work_dir=tmp_path).catalog_url)
    assert Accounts(catalog).check("ana", "a short sentence")
    catalog.dispose()
    status, _, told = run_here(capfd, "review", "add-person", "ana")
    assert status == 1
    assert "expected a new name, found 'ana'" in told
    assert "a short sentence" not in told
    monkeypatch.setenv("ITRP_REVIEW_PASSWORD", "short")
    status, _, told = run_here(capfd, "review", "add-person", "ben")
    assert status == 2
    assert "expected a password of 12 to 256 characters" in told


def test_wrong_use_is_told_before_anything_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ITRP_WORK_DIR", str(tmp_path))
    status, _, told = run_here(capfd, "review", "--host", "0.0.0.0")
    assert status == 2
    assert "set ITRP_REVIEW_SECRET" in told
    status, _, told = run_here(capfd, "review", "--demo", str(tmp_path / "nowhere"))
    assert status == 2
    assert "run `itrp demo` first" in told
    monkeypatch.setenv("ITRP_REVIEW_SECRET", "a secret of tests that is long enough")
    status, _, told = run_here(capfd, "review", "--person", "ana")
    assert status == 2
    assert "--person is for a page without passwords" in told


def test_the_grammar() -> None:
    args = parse_arguments(["review"])
    assert (args.port, args.host, args.person, args.demo, args.action) == (PORT, "127.0.0.1", None, None, None)
    assert parse_arguments(["review", "--demo"]).demo == "itrp-demo"
    assert parse_arguments(["review", "add-person", "ana"]).name == "ana"


def test_the_demos_folder_is_opened_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MARKER).touch()
    monkeypatch.setenv("ITRP_CATALOG_URL", "sqlite:////elsewhere/catalog.db")
    settings = _find_demo(tmp_path)
    assert settings.work_dir == tmp_path
    assert settings.catalog_url == f"sqlite:///{tmp_path}/catalog.db"
    assert settings.object_store_url == (tmp_path / "objects").as_uri()
