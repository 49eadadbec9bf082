"""The flow `watch-agreement`: how far the seeds' models agree on unlabelled tweets, followed over time."""

import re
import time
from typing import Literal

from prefect.artifacts import create_table_artifact

from flows.jobs.seed_agreement import SeedAgreement, choose_watched, measure_agreement
from flows.platform import Platform
from flows.runtime.io_task import io_task
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from flows.tracking.runs import log_figures
from itrp.labels import Task
from serving.registry import MODEL_NAMES, ModelVersion


@io_task("measure-agreement", "seeds of the {task} task")
def measure_agreement_task(platform: Platform, task: Task, data: str | None) -> SeedAgreement:
    """Measure one task's agreement and log it on the run of the version that scores."""
    version = choose_watched(platform, task)
    found = measure_agreement(platform, version, data)
    _log(platform, version, found)
    return found


@watched_flow("watch-agreement", "watch-agreement/{task}", hours=6)
def watch_agreement(task: Literal["text", "image", "both"] = "both", data: str | None = None) -> list[SeedAgreement]:
    """Say on how many unlabelled tweets the models of several seeds agree; where one falls, the tweets have changed.

    Args:
        task: Which model; of both, those that were trained.
        data: Data set to look at, by default the collected tweets (landing), or what the model was trained on where there
            are none yet. Its newest shards are looked at, 2,000 pairs at most.
    """
    platform = open_platform_task()
    tasks = _find_trained(platform) if task == "both" else [Task(task)]
    reports = [measure_agreement_task(platform, each, data) for each in tasks]
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


def _find_trained(platform: Platform) -> list[Task]:
    """The tasks with a registered version; where there is none all, whose look-up then says so."""
    return [task for task in MODEL_NAMES if platform.registry.versions(task)] or list(MODEL_NAMES)


def _log(platform: Platform, version: ModelVersion, found: SeedAgreement) -> None:
    """One point of a curve a data set: the step is the minute, so that two runs within one are the same point."""
    data = re.sub(r"[^\w .-]", "_", found.data)  # MLflow refuses other characters in a metric's name
    figures = [(f"watch/{found.task}/{data}/{name}", value) for name, value in found.figures()]
    log_figures(platform.settings, version.run_id, figures, step=int(time.time() // 60))
