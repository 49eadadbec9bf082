"""The flow `promote-models`: challengers through the gate, champions moved."""

from typing import Literal

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.platform import Platform, open_platform
from flows.promotion_run import PromoteReport, run_promotion
from itrp.errors import WrongUseError
from itrp.labels import Task


@task(name="promote", task_run_name="promote {task}", cache_policy=NO_CACHE, persist_result=False)
def promote_task(
    platform: Platform, task: Task, data: str | None, set_name: str, dry_run: bool, to: str | None, accept: bool
) -> PromoteReport:
    """Decide on one task's challenger."""
    return run_promotion(platform, task, data=data, set_name=set_name, dry_run=dry_run, to=to, accept=accept)


@flow(name="promote-models", flow_run_name="promote-models/{task}", persist_result=False)
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
        accept: Promote on label-free figures when there is no labelled data set.
    """
    if to is not None and task == "both":
        raise WrongUseError("--to VERSION needs the task it is for: itrp promote text --to 3")
    tasks = [Task.TEXT, Task.IMAGE] if task == "both" else [Task(task)]
    platform = open_platform()
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
