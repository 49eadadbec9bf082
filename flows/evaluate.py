"""The flow `evaluate-itrp`: registered models against human labels, under a named protocol."""

from typing import Literal

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.jobs.evaluation import EvaluateReport, run_evaluation
from flows.platform import Platform
from flows.runtime.events import emit_registered
from flows.runtime.io_task import io_task
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow


def _name_run() -> str:
    given = flow_run.parameters
    return f"evaluate-itrp/{' + '.join(given['models'])} on {given['data']}"


@io_task("evaluate", "evaluate on {data}")
def evaluate_task(
    platform: Platform,
    models: list[str],
    data: str,
    protocol: str,
    set_name: str,
    map_with: str | None = None,
    seed: int = 0,
) -> EvaluateReport:
    """Evaluate, choose class names where there are none, and log; versions that got their names are told of."""
    before = [str(platform.registry.resolve(model)) for model in models]
    report = run_evaluation(platform, models, data, protocol=protocol, set_name=set_name, map_with=map_with, seed=seed)
    emit_registered(platform.registry.resolve(model) for model in report.models if model not in before)
    return report


@watched_flow("evaluate-itrp", _name_run, hours=24)
def evaluate_itrp(
    models: list[str],
    data: str,
    protocol: Literal["dev", "oracle", "last"] = "dev",
    set_name: Literal["raw", "RM", "RL"] = "raw",
    map_with: str | None = None,
    seed: int = 0,
) -> EvaluateReport:
    """Evaluate one task model, or a text and an image model together.

    Args:
        models: Such as itrp-text-task@challenger or itrp-image-task/3.
        data: Name of a data set with human labels.
        protocol: Who may choose mapping and checkpoint: the train split (dev), the test labels (oracle: an upper bound),
            or nobody (last: the last checkpoint, mapping from the train split).
        set_name: The test set as published, with the controversial samples removed (RM) or relabelled (RL).
        map_with: In place of a protocol: so many labelled pairs of the train split ("20": the protocol dev-20) choose mapping
            and checkpoint, or the hub id or folder of a CLIP or SigLIP model (joint, no labels) the last one's mapping.
        seed: Of the draw of these pairs.
    """
    report = evaluate_task(open_platform_task(), models, data, protocol, set_name, map_with, seed)
    told = f"{report.task}, {report.set}, protocol {report.protocol}\n\n```\n{report.ranking_table}\n```"
    told += f"\n\n{report.caution}" if report.caution else ""
    create_table_artifact(key="evaluation", table=report.rows, description=told)
    return report
