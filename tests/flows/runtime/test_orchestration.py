"""Defaults that are set before Prefect and MLflow are imported, and the console."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.runtime.orchestration import (
    _drop_told_errors,
    current_flow_run_id,
    keep_private,
    make_work_folder,
    open_to,
    prepare_environment,
)
from infra.errors import SettingsError
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


def test_a_work_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError) as caught:
        make_work_folder(Settings(work_dir=tmp_path / "file/work"))
    assert str(caught.value) == (
        f"ITRP_WORK_DIR: expected a folder that can be written, found {tmp_path}/file/work (Not a directory): "
        "set it to another folder"
    )


@pytest.fixture
def mask() -> Iterator[Callable[[], int]]:
    """Reads the process's umask, which is the usual one at first and is put back afterwards."""
    before = os.umask(0o022)

    def read() -> int:
        found = os.umask(0)
        os.umask(found)
        return found

    yield read
    os.umask(before)


def test_a_new_work_folder_is_for_its_user_alone(tmp_path: Path, mask: Callable[[], int]) -> None:
    settings = Settings(work_dir=tmp_path / "new/work")
    make_work_folder(settings)
    assert settings.work_dir.stat().st_mode & 0o777 == 0o700
    assert mask() == 0o022, "whoever uses the library keeps the umask of their process"
    keep_private(settings)
    (settings.work_dir / "tweets").write_text("")
    assert (settings.work_dir / "tweets").stat().st_mode & 0o777 == 0o600


def test_nothing_is_shared_before_there_is_a_work_folder(tmp_path: Path, mask: Callable[[], int]) -> None:
    keep_private(Settings(work_dir=tmp_path / "new"))
    assert mask() == 0o077


@pytest.mark.parametrize(
    ("mode", "told"), [(0o700, ""), (0o750, "its group"), (0o755, "everybody"), (0o701, "everybody")]
)
def test_a_work_folder_its_owner_has_opened_stays_open(
    tmp_path: Path, mask: Callable[[], int], mode: int, told: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work").chmod(mode)
    settings = Settings(work_dir=tmp_path / "work")
    make_work_folder(settings)
    keep_private(settings)
    assert open_to(settings.work_dir) == told
    assert settings.work_dir.stat().st_mode & 0o777 == mode
    assert mask() == (0o022 if told else 0o077)


def test_an_open_object_store_elsewhere_stays_open(tmp_path: Path, mask: Callable[[], int]) -> None:
    (tmp_path / "objects").mkdir(mode=0o755)
    keep_private(Settings(work_dir=tmp_path / "work", object_store_url=(tmp_path / "objects").as_uri()))
    assert mask() == 0o022


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
