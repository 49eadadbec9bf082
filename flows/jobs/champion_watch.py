"""Champions that were moved in MLflow's registry, by whomever: noticed, looked at, remembered. No Prefect in here."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from flows.jobs.promotion import PromoteReport, review
from flows.jobs.reviewed import choose_judging_data
from flows.platform import Platform
from infra.catalog.database import Catalog
from infra.catalog.queries import last_champion, record_champion
from infra.catalog.tables import now
from itrp.labels import Task
from serving.errors import NotFoundError
from serving.registry import CHAMPION, MODEL_NAMES, ModelVersion, Registry

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChampionMove:
    """A task's champion is another version than the one the catalog knows of."""

    version: ModelVersion
    before: ModelVersion | None
    """None before the first champion, and where the registry has forgotten the old one."""

    @property
    def named(self) -> bool:
        """Whether the new champion can label. One that cannot is waited for: scoring keeps the last that could."""
        return self.version.mapping is not None


def find_moves(registry: Registry, catalog: Catalog) -> list[ChampionMove]:
    """Moves nobody has noticed yet. A task that has lost its champion is warned of, and waited for."""
    moves = []
    for task in MODEL_NAMES:
        with catalog.session() as session:
            known = last_champion(session, str(task))
        version = registry.find(task, CHAMPION)
        if version is None:
            if known is not None:
                logger.warning(
                    "the %s task has no champion any more (the last was %s): scoring waits", task, known.version
                )
        elif known is None or known.version != version.version:
            moves.append(ChampionMove(version, _find_version(registry, task, known.version if known else None)))
    return moves


def review_move(platform: Platform, move: ChampionMove, set_name: str = "raw") -> PromoteReport:
    """What the gate says of the new champion against the old one, and which of the last labels it would change.

    Nothing is taken back: whoever moved the alias has decided. Raises UnmappedModelError when it has no class names.
    """
    return review(platform, move.version, move.before, choose_judging_data(platform, move.version.task), set_name)


def remember_move(catalog: Catalog, move: ChampionMove, flow_run_id: str | None) -> bool:
    """Enter the move in the catalog; False when another process has. Done last: what dies before is done again."""
    with catalog.session() as session:
        return record_champion(session, str(move.version.task), move.version.version, flow_run_id)


def has_moved_lately(catalog: Catalog, within: timedelta) -> bool:
    """Was a move noticed so short a time ago?"""
    with catalog.session() as session:
        known = [last_champion(session, str(task)) for task in MODEL_NAMES]
    return any(move is not None and move.noticed_at > now() - within for move in known)


def _find_version(registry: Registry, task: Task, number: str | None) -> ModelVersion | None:
    if number is None:
        return None
    try:
        return registry.resolve(f"{MODEL_NAMES[task]}/{number}")
    except NotFoundError:
        return None
