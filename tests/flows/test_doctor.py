"""`itrp doctor`: a broken part is told with the next step, and the others are shown all the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.doctor import Check, _check_folder, examine
from infra.settings import Settings

if TYPE_CHECKING:
    from flows.platform import Platform

PARTS = [
    "settings", "work folder", "object store", "catalog", "data sets", "mlflow", "models", "prefect", "device", "encoders",
]  # fmt: skip


def by_part(checks: list[Check]) -> dict[str, Check]:
    assert [check.part for check in checks] == PARTS
    assert all(check.told and "\n" not in check.told for check in checks)
    return {check.part: check for check in checks}


def failing(checks: list[Check]) -> dict[str, str]:
    return {part: check.told for part, check in by_part(checks).items() if not check.ok}


@pytest.mark.slow
def test_a_fresh_folder_is_in_order_and_says_what_comes_next(tmp_path: Path) -> None:
    checks = by_part(examine(Settings(work_dir=tmp_path / "new", device="cpu")))
    assert {part for part, check in checks.items() if not check.ok} == set()
    assert checks["data sets"].told == "none yet; next: itrp ingest landing, or itrp demo"
    assert checks["models"].told == (
        "text: none yet, next: itrp train small-text --data NAME; image: none yet, next: itrp train small-image --data NAME"
    )
    assert checks["catalog"].told.endswith(": 0 shards, 0 label files, 0 tweets in quarantine")
    assert checks["encoders"].told == "minilm (384-d), efficientnet-lite0 (1280-d)"


def test_a_used_folder_tells_what_is_there(scoring: "Platform") -> None:
    checks = by_part(examine(scoring.settings))
    assert checks["data sets"].told == "labelled (80 pairs, labelled), landing (30 pairs), unlabelled (60 pairs)"
    assert checks["models"].told == "text: champion 2, challenger 2; image: champion 2, challenger 2"
    assert ": 5 shards, 0 label files, 0 tweets in quarantine" in checks["catalog"].told


def test_a_folder_that_others_may_look_into_is_told(tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path / "work")
    assert _check_folder(settings) == f"{tmp_path}/work"
    settings.work_dir.chmod(0o755)
    told = f"{tmp_path}/work; tweets lie in it, and everybody may look into it: chmod 700 {tmp_path}/work"
    assert _check_folder(settings) == told


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file where a folder is needed."""
    path = tmp_path / "file"
    path.write_text("in the way")
    return path


def test_a_broken_store(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"object_store_url": f"file://{blocked}/objects"})))
    assert told.keys() == {"object store"}
    assert "set ITRP_OBJECT_STORE_URL to another folder" in told["object store"]


def test_a_broken_catalog(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"catalog_url": f"sqlite:///{blocked}/c.db"})))
    assert told.keys() == {"catalog", "data sets"}
    assert "correct ITRP_CATALOG_URL" in told["catalog"]
    assert told["data sets"] == "not asked: catalog fails"


def test_a_catalog_that_is_no_database(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"catalog_url": f"sqlite:///{blocked}"})))
    assert told.keys() == {"catalog", "data sets"}
    assert "ITRP_CATALOG_URL" in told["catalog"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "step"),
    [("sqlite:///{blocked}/mlflow.db", "make its folder writable"), ("http://127.0.0.1:9", "start the server")],
)
def test_a_broken_mlflow(platform: "Platform", blocked: Path, address: str, step: str) -> None:
    uri = address.format(blocked=blocked)
    told = failing(examine(platform.settings.model_copy(update={"mlflow_uri": uri})))
    assert told.keys() == {"mlflow", "models"}
    assert told["mlflow"].startswith(f"{uri} fails: ")
    assert told["mlflow"].endswith(f"; {step}, or correct ITRP_MLFLOW_URI")
    assert told["models"] == "not asked: mlflow fails"


def test_a_password_is_not_shown(platform: "Platform") -> None:
    told = failing(examine(platform.settings.model_copy(update={"mlflow_uri": "http://me:hidden@127.0.0.1:9"})))
    assert "hidden" not in " ".join(told.values())
    assert told["mlflow"].startswith("http://127.0.0.1:9 fails")


def test_a_misspelt_variable_is_told(platform: "Platform", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_WORKDIR", "/data")
    told = failing(examine(platform.settings))
    assert told.keys() == {"settings"}
    assert told["settings"].startswith(
        "no setting is called ITRP_WORKDIR: correct or unset it; known are ITRP_WORK_DIR, "
    )


def test_a_missing_device(platform: "Platform") -> None:
    told = failing(examine(platform.settings.model_copy(update={"device": "cuda:99"})))
    assert told.keys() == {"device"}
    assert told["device"].startswith("cuda:99 cannot be used: ")
    assert told["device"].endswith("; set ITRP_DEVICE to auto or cpu")


@pytest.mark.slow
def test_a_prefect_server_that_does_not_answer(platform: "Platform") -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        told = failing(examine(platform.settings))
    assert told.keys() == {"prefect"}
    assert told["prefect"].startswith("no Prefect server answers at http://127.0.0.1:9/api: ")
    assert told["prefect"].endswith("; start it, or correct or unset PREFECT_API_URL")


@pytest.mark.slow
def test_a_prefect_server_that_answers(platform: "Platform", prefect_server: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server}):
        assert by_part(examine(platform.settings))["prefect"].told == f"server {prefect_server} answers"


@pytest.mark.slow
def test_the_command_prints_a_line_a_part_and_its_status(
    itrp: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: Path
) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_URL", f"file://{blocked}/objects")
    done = itrp(tmp_path / "w", "doctor")
    lines = done.out.splitlines()
    assert [line[5:20].strip() for line in lines] == PARTS
    assert [line[:4] for line in lines] == ["ok  ", "ok  ", "FAIL", *["ok  "] * 7]
    assert done.status == 1
    report = json.loads(itrp(tmp_path / "w", "doctor", "--json").out)
    assert report["ok"] is False
    assert [part["part"] for part in report["parts"] if not part["ok"]] == ["object store"]
    monkeypatch.delenv("ITRP_OBJECT_STORE_URL")
    assert itrp(tmp_path / "w", "doctor").status == 0
