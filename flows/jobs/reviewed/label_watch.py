"""Every new hundred labelled tweets: noticed once, with what can be done with them. No Prefect in here."""

from dataclasses import dataclass
from datetime import timedelta

from flows.jobs.reviewed.data_set import ReviewedReport, refresh_reviewed
from flows.platform import Platform
from infra.catalog.annotations import count_labels
from infra.catalog.database import Catalog
from infra.catalog.queries import record_notice
from infra.catalog.tables import Notice
from itrp.labels import Task
from itrp.models.head_config import FEWEST_LABELS
from serving.registry import CHAMPION, Registry

HUNDRED = 100
FOREVER = timedelta(days=36_500)
"""A hundred is told of once."""


@dataclass(frozen=True)
class NewHundred:
    """People have labelled another hundred tweets."""

    labels: int
    """Tweets that got a label so far: a multiple of a hundred, the last one that was passed."""
    reviewed: ReviewedReport
    measurable: dict[str, bool]
    """Task -> whether it has a champion, and labels to measure it by."""

    @property
    def kind(self) -> str:
        """Of the notice that remembers it."""
        return f"labels-{self.labels}"

    @property
    def trainable(self) -> bool:
        """Whether the train split has labels enough for a head of any task."""
        return any(number >= FEWEST_LABELS for number in self.reviewed.train.values())


def find_new_hundred(platform: Platform, flow_run_id: str | None = None, *, step: int = HUNDRED) -> NewHundred | None:
    """The last hundred that was passed and that nobody was told of; None where there is none. Refreshes `reviewed`.

    step: labelled tweets from one to the next. Of several since the last time only the last one is told: one import of 350
    labels starts one evaluation.
    """
    with platform.catalog.session() as session:
        passed = count_labels(session) // step * step
        if not passed or session.get(Notice, f"labels-{passed}") is not None:
            return None
    reviewed = refresh_reviewed(platform, flow_run_id)
    measurable = {
        str(task): reviewed.test[str(task)] > 0 and _has_named_champion(platform.registry, task)
        for task in (Task.TEXT, Task.IMAGE)
    }
    return NewHundred(passed, reviewed, measurable)


def remember_hundred(catalog: Catalog, hundred: NewHundred) -> bool:
    """Enter that it was told of; False when another process has. Done last: what dies before is done again."""
    with catalog.session() as session:
        return record_notice(session, hundred.kind, FOREVER)


def _has_named_champion(registry: Registry, task: Task) -> bool:
    champion = registry.find(task, CHAMPION)
    return champion is not None and champion.mapping is not None
