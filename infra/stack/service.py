"""One server or worker as a process of its own: started, waited for, stopped by its process id, or killed.

A worker gives each flow run a process of its own, and what a run starts may leave that too. Of a worker that was killed they
live on without a parent: neither a process group nor a tree leads to them any more. A mark in their environment does, and
nothing else has it: it is the folder of the stack, and only workers are told it (a shell that has sourced env.sh is not).
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from infra.errors import StackError

STOP_SECONDS = 20
"""How long a service may take to end when asked to."""
MARK = "STACK_OF_WORKER"
"""Environment variable of workers, handed on to all they start: the stack's folder."""
TERM_SECONDS = 5
"""How long what a worker has left behind may take to end when asked to."""


@dataclass
class Service:
    """A program with its environment. Its output goes to `log`, appended over restarts."""

    name: str
    command: Sequence[object]
    log: Path
    answers: Callable[[], bool]
    """Is it ready to be used?"""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its whole environment; may hold secrets."""
    user: str | None = None
    """Another user to run as; needs root."""
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 180
    """Seconds until it has to answer."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the program and wait until it answers. Raises StackError with the end of its log."""
        if self.process is not None:
            self._end(set())  # it was killed from outside: what it had started would still hold its port
        with self.log.open("ab") as output:
            try:
                self.process = subprocess.Popen(
                    [str(part) for part in self.command],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(self.environment), user=self.user,
                    cwd=self.log.parent, start_new_session=True, preexec_fn=_listen_to_interrupts,
                )  # fmt: skip
            except OSError as error:
                raise StackError(f"{self.name} cannot be started: {error.strerror} ({self.command[0]})") from None
        self.wait()

    def wait(self) -> None:
        """Wait until it answers. Raises StackError when it ends instead, or takes longer than its patience."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline and self.running:
            if self.answers():
                return
            time.sleep(0.1)
        what = "does not answer" if self.running else "ended"
        self.kill()
        raise StackError(f"{self.name} {what}; the end of {self.log}:\n{self.log.read_text(errors='replace')[-3000:]}")

    @property
    def running(self) -> bool:
        """Is the program there?"""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ask it to end; kill it, and whatever it has started, when it does not. Nothing happens when it is not there."""
        if self.process is None:
            return
        below = _groups_below(self.process.pid)
        if self.running:
            self.process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self._end(below)

    def kill(self) -> None:
        """End it and everything it has started at once (SIGKILL), as when its machine dies."""
        if self.process is not None:
            self._end(_groups_below(self.process.pid))

    def _end(self, groups: set[int]) -> None:
        assert self.process is not None
        for group in {self.process.pid, *groups}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.process = None


def find_program(name: str, hint: str) -> Path:
    """A program beside this Python or on the PATH. Raises StackError with the hint when there is none."""
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise StackError(f"expected the program {name}, found none: {hint}")
    return Path(found)


def own_paths() -> dict[str, str]:
    """PATH and HOME, all that a service gets of the caller's environment: nobody's settings get into the stack by accident."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/")}


def responds(address: str) -> bool:
    """Does a page answer with 200?"""
    try:
        with urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # URLError is one
        return False


def post_json(address: str, body: object, user: str, password: str, *, seconds: float) -> Any:
    """Send JSON under a user's name and return what is answered. Raises urllib's HTTPError and URLError."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    with urlopen(Request(address, json.dumps(body).encode(), headers), timeout=seconds) as response:
        return json.load(response)


def mark_workers(folder: Path) -> dict[str, str]:
    """What a worker's environment needs, so that what it starts is found."""
    return {MARK: str(folder)}


def find_engines(folder: Path) -> list[psutil.Process]:
    """Workers of the stack in a folder and all they have started. Other people's processes cannot be read: skipped."""
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


def _listen_to_interrupts() -> None:
    # What a shell starts in the background ignores SIGINT, and so does all that it starts: a Prefect worker then never stops
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _groups_below(pid: int) -> set[int]:
    """Process groups of everything a process has started, however deep (a worker gives each flow run a group of its own)."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    groups = set()
    for child in below:
        with contextlib.suppress(ProcessLookupError):
            groups.add(os.getpgid(child.pid))
    return groups
