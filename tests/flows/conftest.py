"""The command line, in this process and as a program; an empty landing zone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.landing_zone import Zone


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str


@pytest.fixture
def itrp(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], log_as_before: None
) -> Callable[..., Done]:
    """`itrp(work_dir, *arguments)`: run the command line here; descriptors are caught, not only sys.stdout."""
    from flows.cli.main import main

    def run(work_dir: Path, *arguments: object) -> Done:
        monkeypatch.setenv("ITRP_WORK_DIR", str(work_dir))
        if "ITRP_DEVICE" not in os.environ:
            monkeypatch.setenv("ITRP_DEVICE", "cpu")
        capfd.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return run


@pytest.fixture
def zone(tmp_path: Path) -> "Iterator[Zone]":
    """An empty one."""
    from infra.catalog.database import open_catalog
    from infra.object_store import open_store
    from tests.flows.landing_zone import Zone

    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    yield Zone(open_store((tmp_path / "objects").as_uri()), catalog)
    catalog.dispose()


@pytest.fixture(scope="session")
def spawn() -> Callable[..., "subprocess.Popen[str]"]:
    """`spawn(work_dir, *arguments, **environment)`: the installed console script as a process group of its own."""

    def start(work_dir: Path, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        command = [str(Path(sys.executable).with_name("itrp")), *(str(argument) for argument in arguments)]
        settings = {"ITRP_WORK_DIR": str(work_dir), "ITRP_DEVICE": "cpu", **environment}
        return subprocess.Popen(
            command, env={**os.environ, **settings}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start
