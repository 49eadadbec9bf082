"""Defaults that are set before Prefect and MLflow are imported, and the console."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.runtime.orchestration import (
    _drop_told_errors,
    current_flow_run_id,
    prepare_environment,
)
from infra.settings import Settings


@pytest.fixture
def bare() -> Iterator[None]:
    """Without what the session has set; put back afterwards."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_"))]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("bare")
def test_prefects_database_lies_in_the_work_folder(tmp_path: Path) -> None:
    prepare_environment(Settings(work_dir=tmp_path))
    assert os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == f"sqlite+aiosqlite:///{tmp_path}/prefect.db"
    assert int(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]) >= 60
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.usefixtures("bare")
def test_what_the_user_has_set_stays(tmp_path: Path) -> None:
    os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
    os.environ["PREFECT_API_URL"] = "http://127.0.0.1:4200/api"
    prepare_environment(Settings(work_dir=tmp_path), verbose=True)
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "ERROR"
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(("verbose", "level"), [(True, "INFO"), (False, "WARNING")])
def test_verbose_shows_prefects_lines(tmp_path: Path, verbose: bool, level: str) -> None:
    prepare_environment(Settings(work_dir=tmp_path), verbose=verbose)
    assert os.environ["PREFECT_LOGGING_LEVEL"] == level


def record(name: str, message: str, *, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, (), info)  # type: ignore[arg-type]


def test_what_the_command_line_tells_is_not_told_twice() -> None:
    assert not _drop_told_errors(record("prefect.flow_runs", "Encountered exception", error=ValueError("x")))
    assert not _drop_told_errors(record("prefect.flow_runs", "Finished in state Failed()"))
    assert _drop_told_errors(record("prefect.flow_runs", "The server does not answer"))
    assert _drop_told_errors(record("flows.score", "trouble", error=ValueError("x")))


def test_outside_of_a_flow_there_is_no_run() -> None:
    assert current_flow_run_id() is None
