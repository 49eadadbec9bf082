"""The flow `train-itrp`: one experiment on one data set, registered as the newest challenger."""

from typing import Annotated

from prefect.artifacts import create_markdown_artifact
from prefect.runtime import task_run
from pydantic import Field

from flows.jobs.training import TrainReport, run_training
from flows.platform import Platform
from flows.runtime.artifacts import link_run
from flows.runtime.events import emit_registered
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from flows.tracking.runs import find_experiment_id
from itrp.baselines.experiments import ZERO_SHOT_EXPERIMENTS
from itrp.experiments import EXPERIMENTS

TRAINABLE = [name for name in EXPERIMENTS if name not in ZERO_SHOT_EXPERIMENTS]
Experiment = Annotated[str, Field(json_schema_extra={"enum": TRAINABLE})]
"""The name of an experiment that can be trained: a list to choose from in Prefect's page."""


@io_task("train-and-register", "train {experiment} on {data}")
def train_task(platform: Platform, experiment: str, data: str, overrides: list[str], resume: bool) -> TrainReport:
    """Train, track and register. After an outage it continues where it was."""
    again = (task_run.run_count or 0) > 1
    return run_training(
        platform, experiment, data, overrides, resume=resume or again, flow_run_id=current_flow_run_id()
    )


@watched_flow("train-itrp", "train-itrp/{experiment} on {data}", hours=72)
def train_itrp(
    experiment: Experiment, data: str, overrides: list[str] | None = None, resume: bool = False
) -> TrainReport:
    """Train a system and register it: ITRp or vanilla clustering without labels, a supervised one with them.

    Args:
        experiment: Such as paper-text or small-cma-clip; a wrong name lists them all.
        data: Name of an ingested data set.
        overrides: Settings to change, each as key=value, for example seed=3 or clustering.method=gmm.
        resume: Go on where a killed run of the same settings and data stopped.
    """
    platform = open_platform_task()
    report = train_task(platform, experiment, data, overrides or [], resume)
    create_markdown_artifact(
        key="trained-model",
        markdown=f"**{' and '.join(report.models)}** from {report.experiment} on {data}, "
        f"{report.rounds} rounds, MLflow run `{report.run_id}`"
        + "".join(f"\n\n{each}" for each in report.notes)
        + "".join(f"\n\n**Warning**: {each}" for each in report.warnings),
        description=f"{' and '.join(report.models)}, the newest challenger",
    )
    link_run(platform.settings, report.run_id, find_experiment_id(platform.settings))
    emit_registered(platform.registry.resolve(model) for model in report.models)
    return report
