"""Is anything silently wrong? Asked by `itrp doctor`, and by the flows, which notify. No Prefect in here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.jobs.datasets import LANDING
from flows.platform import Platform
from infra.catalog.database import Catalog
from infra.catalog.queries import count_unlabelled, last_champion, oldest_unlabelled, record_notice
from infra.catalog.tables import Shard, now
from itrp.labels import Task
from serving.champions import Champions, find_champions
from serving.errors import NotReadyError
from serving.model_files import find_missing_files
from serving.registry import CHALLENGER, CHAMPION, MODEL_NAMES, ModelVersion, Registry, explain_missing_files

AGAIN = timedelta(days=1)
"""What stays wrong is told again after so long, and not at every run."""
OVERDUE = timedelta(days=1)
"""Scoring runs every hour: a shard that has waited so long for its first label has been forgotten."""


@dataclass(frozen=True)
class Finding:
    """Something that is so, in one line with the next step."""

    kind: str
    """labels-overdue, labels-behind, champion-unnamed, champion-missing, model-files."""
    told: str
    wrong: bool = True
    """False for what the next run sees to by itself."""


def examine_labels(
    registry: Registry, catalog: Catalog, *, backfill: bool, moment: datetime | None = None
) -> list[Finding]:
    """Unlabelled shards: forgotten ones, and those the champions' pair has not labelled. backfill: as in the settings."""
    with catalog.session() as session:
        oldest = oldest_unlabelled(session, LANDING)
    try:
        champions = find_champions(registry, catalog)
    except NotReadyError as error:
        return [_wait_for_champions(catalog, oldest, str(error))] if oldest else []
    found = []
    if oldest and (moment or now()) - oldest.created_at > OVERDUE:
        found.append(Finding("labels-overdue", _describe_overdue(oldest)))
    behind = _describe_behind(catalog, champions, backfill=backfill)
    return [*found, *([Finding("labels-behind", behind, wrong=False)] if behind else [])]


def examine_champions(registry: Registry, catalog: Catalog) -> list[Finding]:
    """Aliases that name nothing usable: taken away, or on a version without class names."""
    found = []
    for task in MODEL_NAMES:
        with catalog.session() as session:
            known = last_champion(session, str(task))
        if known is not None and registry.find(task, CHAMPION) is None:
            told = (
                f"the {task} task has no champion any more (the last was {MODEL_NAMES[task]}/{known.version}), so nothing "
                f"gets labels: itrp promote {task} --to {known.version}, or move the alias in MLflow"
            )
            found.append(Finding("champion-missing", told))
    try:
        champions = find_champions(registry, catalog)
    except NotReadyError:
        return found
    return [*found, *(Finding("champion-unnamed", str(stopgap)) for stopgap in champions.stopgaps)]


def examine_model_files(registry: Registry) -> list[Finding]:
    """Champions and challengers whose files are not where the registry says."""
    found = []
    for version in _versions_in_use(registry):
        place = find_missing_files(registry, version)
        if place is not None:
            found.append(Finding("model-files", explain_missing_files(version, place)))
    return found


def examine_shift(platform: Platform) -> list[Finding]:
    """Everything of the above."""
    registry, catalog = platform.registry, platform.catalog
    return [
        *examine_champions(registry, catalog),
        *examine_labels(registry, catalog, backfill=platform.settings.backfill),
        *examine_model_files(registry),
    ]


def choose_news(catalog: Catalog, findings: Sequence[Finding]) -> list[Finding]:
    """What is wrong and was not told within the last day; from now on it counts as told."""
    with catalog.session() as session:
        kinds = {finding.kind for finding in findings if finding.wrong}
        news = {kind for kind in sorted(kinds) if record_notice(session, kind, AGAIN)}
    return [finding for finding in findings if finding.kind in news]


def count_behind(catalog: Catalog, champions: Champions) -> int:
    """Landed shards that the champions' pair has yet to label."""
    with catalog.session() as session:
        return count_unlabelled(session, LANDING, champions.pair.text.short, champions.pair.image.short)


def _versions_in_use(registry: Registry) -> list[ModelVersion]:
    found = (registry.find(task, alias) for task in (Task.TEXT, Task.IMAGE) for alias in (CHAMPION, CHALLENGER))
    return list({str(version): version for version in found if version is not None}.values())


def _describe_overdue(oldest: Shard) -> str:
    return (
        f"shard {oldest.hash[:12]} has waited for labels since {oldest.created_at:%Y-%m-%d %H:%M} UTC, over a day: check that "
        "score-tweets runs, or run `itrp score`"
    )


def _wait_for_champions(catalog: Catalog, oldest: Shard, why: str) -> Finding:
    """Wrong only where there were champions: a fresh installation waits for its first."""
    with catalog.session() as session:
        known = any(last_champion(session, str(task)) for task in MODEL_NAMES)
    late = known and now() - oldest.created_at > OVERDUE
    told = f"tweets wait for labels since {oldest.created_at:%Y-%m-%d %H:%M} UTC: {why}"
    return Finding("labels-overdue" if late else "labels-behind", told, wrong=late)


def _describe_behind(catalog: Catalog, champions: Champions, *, backfill: bool) -> str | None:
    behind = count_behind(catalog, champions)
    if not behind:
        return None
    step = "the next scoring labels them" if backfill else "itrp score --backfill labels them"
    return f"the champions' pair ({champions.pair}) has yet to label {behind} shards: {step}"
