"""Progress of long work: a bar on a terminal, plain lines otherwise. Both go to standard error."""

import logging
import re
import sys
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)

PLAIN_SECONDS = 10.0
"""At least so many seconds lie between two plain lines of one stage, or of stages that differ in their number alone (rounds)."""


class ProgressReporter:
    """Called with (stage, steps done, steps in all); a stage ends when all its steps are done."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage = ""
        self._told: dict[str, float] = {}
        """When each kind of stage was told last."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps of a stage are done; a total of None is not known yet."""
        if sys.stderr.isatty():
            self._draw(stage, done, total)
        else:
            self._tell(stage, done, total)

    def _draw(self, stage: str, done: int, total: int | None) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._bar, self._stage = tqdm(desc=stage, total=total, file=sys.stderr, leave=False), stage
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done == total:
            self.close()

    def _tell(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        kind = re.sub(r"\d+", "", stage)
        if kind in self._told and now - self._told[kind] < PLAIN_SECONDS:
            return
        self._told[kind] = now
        logger.info("%s: %d%s", stage, done, f" of {total}" if total is not None else "")

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class CountReporter:
    """Called with how many more are done, the total being unknown; a context manager that ends the stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._done = 0
        self._reporter = ProgressReporter()

    def __call__(self, more: int) -> None:
        """So many more are done."""
        self._done += more
        self._reporter(self._stage, self._done, None)

    def __enter__(self) -> "CountReporter":
        return self

    def __exit__(self, *_: object) -> None:
        self._reporter.close()
