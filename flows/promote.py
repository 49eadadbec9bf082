"""The flow `promote-models`: challengers through the gate, champions moved."""

from typing import Literal

from prefect.artifacts import create_table_artifact

from flows.jobs.promotion import PromoteReport, choose_tasks, run_promotion
from flows.platform import Platform
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from itrp.labels import Task


@io_task("promote", "promote {task}")
def promote_task(
    platform: Platform, task: Task, data: str | None, set_name: str, dry_run: bool, to: str | None, accept: bool
) -> PromoteReport:
    """Decide on one task's challenger."""
    return run_promotion(
        platform, task, data=data, set_name=set_name, dry_run=dry_run, to=to, accept=accept,
        flow_run_id=current_flow_run_id(),
    )  # fmt: skip


@watched_flow("promote-models", "promote-models/{task}", hours=24)
def promote_models(
    task: Literal["text", "image", "both"] = "both",
    data: str | None = None,
    set_name: Literal["raw", "RM", "RL"] = "raw",
    dry_run: bool = False,
    to: str | None = None,
    accept: bool = False,
) -> list[PromoteReport]:
    """Compare challengers with champions and move the alias `champion` where the challenger is better.

    Args:
        task: Which model.
        data: Labelled data set to decide on; by default the newest there is.
        set_name: Test set to decide on.
        dry_run: Move nothing; show how many of the last scored labels would change.
        to: Move the alias to this version without a gate (roll back); needs one task.
        accept: Promote on label-free figures when there is no labelled data set, and in spite of what is doubtful about the
            challenger's training (its tags itrp.warning.…), which rejects it otherwise.
    """
    tasks = choose_tasks(task, to)
    platform = open_platform_task()
    reports = [promote_task(platform, each, data, set_name, dry_run, to, accept) for each in tasks]
    create_table_artifact(
        key="promotion",
        table=[
            {"task": each.task, "challenger": each.challenger, "champion before": each.champion or "none",
             "promoted": each.promoted, "reason": each.reason}
            for each in reports
        ],
        description="; ".join(
            f"{each.challenger} {'is champion now' if each.promoted else 'is not promoted'}" for each in reports
        ),
    )  # fmt: skip
    return reports
