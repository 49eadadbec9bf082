"""How far long work is: a bar (tqdm) on a terminal, plain lines otherwise. Both go to standard error.

Whoever works calls a `Progress` or a `Count` and does not know what becomes of it; by default nothing does.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], object]
"""Called with (what is going on, steps done, steps in all, None where they are not known yet)."""
Count = Callable[[int], object]
"""Called with how many more are done."""

PLAIN_SECONDS = 10.0
"""At least so many seconds lie between two plain lines of one stage, or of stages that differ in their number alone (rounds)."""


def ignore_progress(stage: str, done: int, total: int | None) -> None:
    """For whoever does not ask."""


def ignore_count(more: int) -> None:
    """For whoever does not ask."""


def count_stage(progress: Progress, stage: str, total: int | None = None) -> Count:
    """Adds up what is done of one stage. Where its steps are known, it is told at once: the first one may be a long one."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(stage, done, total)

    if total is not None:
        count(0)
    return count


class ProgressBar:
    """The `Progress` that people see; a stage ends when all its steps are done, or when the block ends."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""
        self._logged: dict[str, float] = {}
        """When each kind of stage was logged last."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps of a stage are done; a total of None is not known yet."""
        if sys.stderr.isatty():
            self._draw(stage, done, total)
        else:
            self._log(stage, done, total)

    def _draw(self, stage: str, done: int, total: int | None) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._bar, self._stage = tqdm(desc=stage, total=total, file=sys.stderr, leave=False), stage
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done == total:
            self.close()

    def _log(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        kind = re.sub(r"\d+", "", stage)
        if kind in self._logged and now - self._logged[kind] < PLAIN_SECONDS:
            return
        self._logged[kind] = now
        logger.info("%s: %d%s", stage, done, f" of {total}" if total is not None else "")

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
