"""The flow `train-itrp`: one experiment on one data set, registered as the newest challenger."""

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.orchestration import current_flow_run_id
from flows.platform import Platform, open_platform
from flows.training_run import TrainReport, run_training


@task(
    name="train-and-register", task_run_name="train {experiment} on {data}", cache_policy=NO_CACHE, persist_result=False
)
def train_task(platform: Platform, experiment: str, data: str, overrides: list[str], resume: bool) -> TrainReport:
    """Train, track and register."""
    return run_training(platform, experiment, data, overrides, resume=resume, flow_run_id=current_flow_run_id())


@flow(name="train-itrp", flow_run_name="train-itrp/{experiment} on {data}", persist_result=False)
def train_itrp(experiment: str, data: str, overrides: list[str] | None = None, resume: bool = False) -> TrainReport:
    """Train a system and register it: ITRp or vanilla clustering without labels, a supervised one with them.

    Args:
        experiment: Such as paper-text or small-cma-clip; a wrong name lists them all.
        data: Name of an ingested data set.
        overrides: Settings to change, each as key=value, for example seed=3 or clustering.method=gmm.
        resume: Go on where a killed run of the same settings and data stopped.
    """
    report = train_task(open_platform(), experiment, data, overrides or [], resume)
    create_markdown_artifact(
        key="trained-model",
        markdown=f"**{' and '.join(report.models)}** from {report.experiment} on {data}, "
        f"{report.rounds} rounds, MLflow run `{report.run_id}`",
        description=f"{' and '.join(report.models)}, the newest challenger",
    )
    return report
