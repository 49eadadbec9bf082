"""The flow `evaluate-zero-shot`: a model that is asked without training, against human labels."""

from typing import Literal

from prefect.artifacts import create_table_artifact

from flows.jobs.zero_shot import ZeroShotReport, run_zero_shot
from flows.platform import open_platform
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.watched_flow import watched_flow


@watched_flow("evaluate-zero-shot", "evaluate-zero-shot/{model} on {data}", hours=24)
def evaluate_zero_shot(
    model: str, data: str, protocol: Literal["dev", "oracle"] = "dev", set_name: Literal["raw", "RM", "RL"] = "raw"
) -> ZeroShotReport:
    """What a person would pick instead of ITRp today, under the same evaluation.

    Args:
        model: Hub id or folder of a CLIP or SigLIP model, or of a vision-language chat model.
        data: Name of a data set with human labels.
        protocol: Whose labels choose the similarity threshold: the train split's (dev) or the test set's (oracle).
        set_name: The test set as published, with the controversial samples removed (RM) or relabelled (RL).
    """
    report = run_zero_shot(
        open_platform(), model, data, protocol=protocol, set_name=set_name, flow_run_id=current_flow_run_id()
    )
    create_table_artifact(
        key="zero-shot", table=report.rows, description=f"{model} on {data}, {set_name}, protocol {protocol}"
    )
    return report
