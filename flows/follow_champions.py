"""The flow `follow-champions`: an alias moved in MLflow's page is noticed, looked at, and told to those who backfill."""

from prefect.artifacts import create_table_artifact

from flows.artifacts import rename_run
from flows.champion_watch import ChampionMove, find_moves, remember_move, review_move
from flows.events import tell_champion
from flows.io_task import io_task
from flows.orchestration import current_flow_run_id
from flows.platform import Platform
from flows.platform_task import open_platform_task
from flows.promotion_run import PromoteReport
from flows.watched_flow import watched_flow


@io_task("find-moves", "compare the registry's champions with those known")
def find_moves_task(platform: Platform) -> list[ChampionMove]:
    """Moves nobody has noticed yet."""
    return find_moves(platform)


@io_task("review-move", "review {move.version}")
def review_move_task(platform: Platform, move: ChampionMove) -> PromoteReport:
    """Gate and flip preview; then the event, and last the memory of it: what is killed in between is done again."""
    report = review_move(platform, move)
    _show(report)
    tell_champion(move.version, report.champion, report.reason)
    remember_move(platform, move, current_flow_run_id())
    return report


@watched_flow("follow-champions", "follow-champions", hours=6)
def follow_champions() -> list[PromoteReport]:
    """Notice champions that were moved in MLflow's registry: compare them with the old ones by the gate and by the labels
    that would change, and emit `itrp.champion.moved`, which starts a backfill. Moving the alias back is the roll-back.
    """
    platform = open_platform_task()
    moves = find_moves_task(platform)
    rename_run(f"follow-champions/{' and '.join(str(move.version) for move in moves) or 'nothing moved'}")
    return [review_move_task(platform, move) for move in moves]


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
