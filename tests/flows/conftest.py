"""The command line, in this process and as a program."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str


@pytest.fixture
def itrp(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """`itrp(work_dir, *arguments)`: run the command line here; descriptors are caught, not only sys.stdout.

    What it does to logging is taken back.
    """
    from flows.cli import main

    before = _remember_logging()

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

    yield run
    _restore_logging(before)


def _remember_logging() -> dict[str, tuple[list[logging.Handler], int, bool]]:
    names = ["", "itrp", "infra", "serving", "flows"]
    loggers = {name: logging.getLogger(name) for name in names}
    return {name: ([*logger.handlers], logger.level, logger.propagate) for name, logger in loggers.items()}


def _restore_logging(before: dict[str, tuple[list[logging.Handler], int, bool]]) -> None:
    for name, (handlers, level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


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
