"""Processes that the stack's workers have started, found by a mark in their environment, whoever their parent is by now.

A worker gives each flow run a process of its own, and what a run starts may leave that too. Of a worker that was killed they
live on without a parent: neither a process group nor a tree leads to them any more. The mark does, and nothing else has it:
it is the folder of the stack, and only workers are told it (a shell that has sourced env.sh is not).
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "STACK_OF_WORKER"
"""Environment variable of workers, handed on to all they start: the stack's folder."""
TERM_SECONDS = 5
"""How long they may take to end when asked to."""


def mark_workers(folder: Path) -> dict[str, str]:
    """What a worker's environment needs, so that what it starts is found."""
    return {MARK: str(folder)}


def find_engines(folder: Path) -> list[psutil.Process]:
    """Workers of the stack in a folder and all they have started. Other people's processes cannot be read: passed over."""
    return [process for process in psutil.process_iter() if _is_marked(process, str(folder))]


def end_engines(folder: Path) -> int:
    """End them all: asked first, then killed. Returns how many there were."""
    found = find_engines(folder)
    _signal(found, "terminate")
    _, left = psutil.wait_procs(found, timeout=TERM_SECONDS)
    # what they started in the meantime as well
    left = [*left, *(process for process in find_engines(folder) if process not in found)]
    _signal(left, "kill")
    psutil.wait_procs(left, timeout=TERM_SECONDS)
    return len(found)


def _is_marked(process: psutil.Process, folder: str) -> bool:
    try:
        return process.environ().get(MARK) == folder and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _signal(processes: Sequence[psutil.Process], how: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            getattr(process, how)()
