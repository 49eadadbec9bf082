"""Ctrl-C at the command line: one calm line that says how to go on, and the process is gone. Light: imports no library.

A KeyboardInterrupt would come too late and too loud: not before a long matrix product ends, into whatever runs just then
(Prefect's engine, a pool of threads, an import), and to Prefect's in-process server as well, which prints a traceback of its
own. So the signal is blocked everywhere, also in the processes that are started from here, and one thread waits for it.
Everything that is written is whole or not there, and a killed run loses nothing: nothing needs to be unwound.
`kill` (SIGTERM) ends a command in the same way, where nothing else handles it: processes that are started from here must go
on taking it, so it is not blocked, and the main thread hands it to another.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

INTERRUPTED = 130
"""Exit status of a program that SIGINT has ended: 128 + 2."""
TERMINATED = 143
"""Of one that SIGTERM has ended: 128 + 15."""
CLEANUP_SECONDS = 1.0
"""So long the run's books (MLflow, a Prefect server) may take to be closed; a second Ctrl-C does not wait for them."""

_cleanups: list[Callable[[], object]] = []


class InterruptWatch:
    """Waits for Ctrl-C from `start` on; the process ends in it. There is one in a process, as there is one signal."""

    def __init__(self, advice: str) -> None:
        self.advice = advice
        """What is said of going on; can be changed while the command learns more."""
        self._told = threading.Event()

    def start(self) -> None:
        """Begin, unless the caller ignores the signal (`nohup`, a shell's background job) or the system has no such masks."""
        if hasattr(signal, "pthread_sigmask") and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            threading.Thread(target=self._wait, name="interrupts", daemon=True).start()
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self._stop(TERMINATED))

    def finish(self) -> None:
        """The work is done and its result about to be printed: nothing can be gone on with. Interrupted, it is not printed."""
        while self._told.is_set():
            time.sleep(CLEANUP_SECONDS)  # the watch ends the process
        self.advice = ""

    def _wait(self) -> None:
        signal.sigwait({signal.SIGINT})
        self._stop(INTERRUPTED)
        signal.sigwait({signal.SIGINT})
        _leave(INTERRUPTED)

    def _stop(self, status: int) -> None:
        self._told.set()
        _say(self.advice)
        last = threading.Timer(CLEANUP_SECONDS, _leave, [status])
        last.daemon = True
        last.start()
        threading.Thread(target=_clean_up, args=[status], daemon=True).start()


@contextmanager
def closed_when_interrupted(close: Callable[[], object]) -> Iterator[None]:
    """Have something called on Ctrl-C in the block: in another thread, for a second at most, and perhaps not at all."""
    _cleanups.append(close)
    try:
        yield
    finally:
        _cleanups.remove(close)


def _say(advice: str) -> None:
    """One line, and silence: other threads still run, and what they log of their end is nobody's concern."""
    start = "\r\033[K" if sys.stderr.isatty() else ""  # over the ^C, or what there is of a bar
    told = f"{start}itrp: stopped{f'; {advice}' if advice else ''}\n"
    os.write(2, told.encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def _clean_up(status: int) -> None:
    for close in reversed(_cleanups):
        try:
            close()
        except Exception:  # a server that does not answer: a run left open is found again by --resume
            continue
    _leave(status)


def _leave(status: int) -> None:
    """End the processes started from here, and this one, without waiting for anything."""
    for child in _find_children():
        try:
            os.kill(child, signal.SIGKILL)
        except OSError:  # gone already
            continue
    os._exit(status)


def _find_children() -> list[int]:
    """Ids of this process's own children."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if lists:
        return [int(each) for path in lists for each in _read(path).split()]
    try:  # a system without /proc
        done = subprocess.run(
            ["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False, timeout=CLEANUP_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(each) for each in done.stdout.split()]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the thread has ended
        return ""
