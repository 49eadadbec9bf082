"""How far long work is: told by stage, steps done and steps in all."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, steps done, steps in all)."""
Count = Callable[[int], object]
"""Called with how many more are done."""


def ignore_progress(stage: str, done: int, total: int) -> None:
    """For whoever does not ask."""


class StageCounter:
    """Adds up what is done of one stage; the stage is told at once, before its first step, which may be a long one."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress = progress
        self._stage = stage
        self._total = total
        self._done = 0
        progress(stage, 0, total)

    def __call__(self, more: int) -> None:
        """So many more are done."""
        self._done += more
        self._progress(self._stage, self._done, self._total)


def ignore_count(more: int) -> None:
    """For whoever does not ask."""
