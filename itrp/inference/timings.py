"""How long the stages of a pipeline work, and how long each waits for another: who is waited for longest holds the others up."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class PipelineTimings:
    """Seconds by stage, summed over its threads. Any number of threads may count at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.work: dict[str, float] = {}
        """By stage."""
        self.waits: dict[tuple[str, str], float] = {}
        """By (who waits, for whom)."""

    @contextmanager
    def working(self, stage: str) -> Iterator[None]:
        """The block is this stage's work."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            with self._lock:
                self.work[stage] = self.work.get(stage, 0.0) + spent

    @contextmanager
    def waiting(self, stage: str, other: str) -> Iterator[None]:
        """In the block this stage waits for the other one."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            with self._lock:
                self.waits[stage, other] = self.waits.get((stage, other), 0.0) + spent

    def figures(self) -> dict[str, float]:
        """Seconds by name: `compute`, `compute_waits_for_decode`, ..."""
        with self._lock:
            waits = {f"{stage}_waits_for_{other}": seconds for (stage, other), seconds in self.waits.items()}
            return {name: round(seconds, 3) for name, seconds in sorted({**self.work, **waits}.items())}

    def describe(self) -> str:
        """One line for a person."""
        with self._lock:
            work = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.work.items())
            waits = ", ".join(
                f"{stage} for {other} {seconds:.1f} s"
                for (stage, other), seconds in self.waits.items()
                if seconds >= 0.05
            )
        return f"worked: {work or 'nobody'}; waited: {waits or 'nobody'}"
