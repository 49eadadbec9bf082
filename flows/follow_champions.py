"""The flow `follow-champions`: an alias moved in MLflow's page is noticed, looked at, and told to those who backfill; and what is
silently wrong is told to those who are notified."""

from prefect.artifacts import create_table_artifact

from flows.jobs.champion_watch import ChampionMove, find_moves, has_moved_lately, remember_move, review_move
from flows.jobs.night_watch import Finding, choose_news, count_behind, examine_shift
from flows.jobs.promotion import PromoteReport
from flows.platform import Platform
from flows.runtime.artifacts import rename_run
from flows.runtime.events import emit_behind, emit_champion, emit_findings
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.shift import RECENTLY, has_scored_lately
from flows.runtime.watched_flow import watched_flow
from serving.champions import find_champions
from serving.errors import NotReadyError
from serving.outages import is_outage


@io_task("find-moves", "compare the registry's champions with the known ones")
def find_moves_task(platform: Platform) -> list[ChampionMove]:
    """Moves nobody has noticed yet."""
    return find_moves(platform.registry, platform.catalog)


@io_task("review-move", "review {move.version}")
def review_move_task(platform: Platform, move: ChampionMove) -> PromoteReport:
    """Gate and flip preview; then the event, and last the memory of it: what is killed in between is done again."""
    report = review_move(platform, move)
    _show(report)
    emit_champion(move.version, report.champion, report.reason, backfill=platform.settings.backfill)
    remember_move(platform.catalog, move, current_flow_run_id())
    return report


@io_task("request-labels", "compare the champions' pair with the ledger")
def request_labels_task(platform: Platform) -> int:
    """Start scoring where the pair is behind and nobody has scored for an hour: its event was lost, or its schedule is off."""
    try:
        champions = find_champions(platform.registry, platform.catalog)
    except NotReadyError:
        return 0
    behind = count_behind(platform.catalog, champions) if platform.settings.backfill else 0
    # a move that was just told of has asked for it, though its run may not be there yet
    if behind and not has_moved_lately(platform.catalog, RECENTLY) and not has_scored_lately():
        emit_behind(champions.pair, behind)
    return behind


@io_task("examine-shift", "check for silent failures")
def examine_shift_task(platform: Platform) -> list[Finding]:
    """Findings, each an event at most once a day."""
    findings = examine_shift(platform)
    emit_findings(choose_news(platform.catalog, findings))
    if findings:
        create_table_artifact(
            key="night-watch",
            table=[{"what": finding.kind, "told": finding.told} for finding in findings],
            description=f"{sum(finding.wrong for finding in findings)} of them need attention",
        )
    return findings


@watched_flow("follow-champions", "follow-champions", hours=6)
def follow_champions() -> list[PromoteReport]:
    """Notice champions that were moved in MLflow's registry: compare them with the old ones by the gate and by the labels
    that would change, and emit `itrp.champion.moved`, which starts a backfill. Moving the alias back is the roll-back.

    What is to be done follows from the registry, the catalog and the ledger alone, so that no lost event is missed for long.
    """
    platform = open_platform_task()
    moves = find_moves_task(platform)
    rename_run(f"follow-champions/{' and '.join(map(_name_move, moves)) or 'nothing moved'}")
    reports, failures = [], []
    for move in moves:
        if not move.named:
            continue  # told below; scoring keeps the last named champion
        try:
            reports.append(review_move_task(platform, move))
        except Exception as error:
            if is_outage(error):
                raise
            failures.append(error)
    if not reports:
        request_labels_task(platform)
    examine_shift_task(platform)
    if failures:
        raise failures[0]
    return reports


def _name_move(move: ChampionMove) -> str:
    return f"{move.version}{'' if move.named else ' (no class names)'}"


def _show(report: PromoteReport) -> None:
    gate = "passes" if report.promoted else "would not pass"
    create_table_artifact(
        key=f"champion-{report.task}",
        table=[{"champion": report.challenger, "before": report.champion or "none", "gate": gate, **report.figures}],
        description=f"{report.challenger} {gate} the gate: {report.reason}",
    )
    preview = report.preview
    if preview is not None:
        create_table_artifact(
            key=f"flips-{report.task}",
            table=preview.examples,
            description=f"{preview.changed} of the {preview.looked_at} last labels change from {report.champion or 'none'} "
            f"to {report.challenger}; examples",
        )
