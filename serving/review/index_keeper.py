"""The index of tweets kept up while the page runs: at the start, and from time to time, in a thread of its own."""

import logging
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from infra.catalog.database import Catalog
from infra.object_store import ObjectStore
from serving.review.tweet_index import IndexReport, update_index

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"""Between two looks for new tweets and labels."""


@dataclass(frozen=True)
class IndexState:
    """How far the index is, for people who look at the page."""

    stage: str = ""
    """What is going on; empty between two updates."""
    done: int = 0
    total: int | None = None
    updated_at: datetime | None = None
    problem: str = ""
    """Why the last update failed, or what it could not read."""


class StoppedError(Exception):
    """The page ends while the index is being updated."""


class IndexKeeper:
    """Updates the index until it is stopped. What fails is tried again; the page goes on with what there is."""

    def __init__(self, catalog: Catalog, store: ObjectStore, *, every: float = EVERY_SECONDS) -> None:
        self._catalog, self._store, self._every = catalog, store, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="tweet-index", daemon=True)
        self._state = IndexState()

    @property
    def state(self) -> IndexState:
        """As it is now."""
        return self._state

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Ask it to end, and wait so long: a shard that is being entered then enters whole, or not at all."""
        self._stop.set()
        self._thread.join(seconds)

    def update(self) -> IndexReport | None:
        """Once, now. None when it failed, which the state tells."""
        try:
            report = update_index(self._catalog, self._store, self._tell)
        except StoppedError:
            return None
        except Exception as error:  # an outage, a full disk: the next look tries again
            logger.warning("the index of tweets is not up to date: %s", error)
            self._state = replace(self._state, stage="", problem="The catalog or the object store did not answer.")
            return None
        unread = f"{len(report.failures)} files cannot be read: the log names them." if report.failures else ""
        self._state = IndexState(updated_at=datetime.now(UTC), problem=unread)
        if report.tweets or report.labels:
            logger.info("index of tweets: %s new tweets, %s new labels", f"{report.tweets:,}", f"{report.labels:,}")
        return report

    def _keep(self) -> None:
        while not self._stop.is_set():
            self.update()
            self._stop.wait(self._every)

    def _tell(self, stage: str, done: int, total: int | None) -> None:
        self._state = replace(self._state, stage=stage, done=done, total=total)
        if self._stop.is_set():
            raise StoppedError
