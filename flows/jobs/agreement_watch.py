"""How far the seeds' models agree on unlabelled tweets, measured and logged beside the version that scores."""

import re
import time

from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.seed_agreement import SeedAgreement, choose_watched, measure_agreement
from flows.platform import Platform
from flows.tracking.runs import log_figures
from infra.settings import Settings
from itrp.labels import Task
from serving.registry import MODEL_NAMES, ModelVersion, Registry


def watch_agreement(platform: Platform, task: str = "both", data: str | None = None) -> list[SeedAgreement]:
    """`watch_task` for "text" or "image", or both. The arguments are those of the flow `watch-agreement`."""
    return [watch_task(platform, each, data) for each in list_watched(platform.registry, task)]


def list_watched(registry: Registry, task: str) -> list[Task]:
    """The tasks with a registered version; where there is none all, whose look-up then says so."""
    if task != "both":
        return [Task(task)]
    return [each for each in MODEL_NAMES if registry.versions(each)] or list(MODEL_NAMES)


def watch_task(platform: Platform, task: Task, data: str | None) -> SeedAgreement:
    """Measure one task's agreement and log it on the run of the version that scores."""
    version = choose_watched(platform, task)
    refresh_if_reviewed(platform, data)
    found = measure_agreement(platform, version, data)
    _log(platform.settings, version, found)
    return found


def _log(settings: Settings, version: ModelVersion, found: SeedAgreement) -> None:
    """One point of a curve a data set: the step is the minute, so that two runs within one are the same point."""
    data = re.sub(r"[^\w .-]", "_", found.data)  # MLflow rejects other characters in a metric's name
    figures = [(f"watch/{found.task}/{data}/{name}", value) for name, value in found.figures()]
    log_figures(settings, version.run_id, figures, step=int(time.time() // 60))
