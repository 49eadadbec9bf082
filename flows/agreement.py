"""The flow `watch-agreement`: how far the seeds' models agree on unlabelled tweets, followed over time."""

from typing import Literal

from prefect.artifacts import create_table_artifact

from flows.jobs.agreement_watch import list_watched, watch_task
from flows.jobs.seed_agreement import SeedAgreement
from flows.platform import Platform
from flows.runtime.io_task import io_task
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from itrp.labels import Task


@io_task("measure-agreement", "seeds of the {task} task")
def measure_agreement_task(platform: Platform, task: Task, data: str | None) -> SeedAgreement:
    """Measure one task's agreement and log it on the run of the version that scores."""
    return watch_task(platform, task, data)


@watched_flow("watch-agreement", "watch-agreement/{task}", hours=6)
def watch_agreement(task: Literal["text", "image", "both"] = "both", data: str | None = None) -> list[SeedAgreement]:
    """Say on how many unlabelled tweets the models of several seeds agree; where one falls, the tweets have changed.

    Args:
        task: Which model; of both, those that were trained.
        data: Data set to look at, by default the collected tweets (landing), or what the model was trained on where there
            are none yet. Its newest shards are looked at, 2,000 pairs at most.
    """
    platform = open_platform_task()
    reports = [measure_agreement_task(platform, each, data) for each in list_watched(platform.registry, task)]
    create_table_artifact(
        key="seed-agreement",
        table=[
            {"task": each.task, "experiment": each.experiment, "data": each.data, "seeds": len(each.seeds),
             "pairs": each.pairs, "mean pairwise agreement": each.agreement, "all agree": each.agreement_all}
            for each in reports
        ],
        description="; ".join(map(str, reports)),
    )  # fmt: skip
    return reports
