"""The flow `itrp-pipeline`: train both tasks, give them class names, promote, score."""

from dataclasses import dataclass
from typing import Literal

from flows.evaluate import evaluate_itrp
from flows.jobs.evaluation import EvaluateReport
from flows.jobs.promotion import PromoteReport
from flows.jobs.training import TrainReport
from flows.promote import promote_models
from flows.runtime.watched_flow import watched_flow
from flows.score import score_tweets
from flows.train import Experiment, train_itrp
from serving.registry import CHALLENGER, MODEL_NAMES
from serving.scorer import ScoreReport


@dataclass(frozen=True)
class PipelineReport:
    """What each stage reported."""

    trained: list[TrainReport]
    evaluated: list[EvaluateReport]
    promoted: list[PromoteReport]
    scored: ScoreReport


@watched_flow("itrp-pipeline", "itrp-pipeline/{data}", hours=168)
def itrp_pipeline(
    data: str,
    labelled: str,
    text_experiment: Experiment = "small-text",
    image_experiment: Experiment = "small-image",
    set_name: Literal["raw", "RM", "RL"] = "raw",
    overrides: list[str] | None = None,
) -> PipelineReport:
    """The whole chain.

    Args:
        data: Unlabelled data set to train on.
        labelled: Data set with human labels, for class names and the gate.
        text_experiment: Experiment of the text task.
        image_experiment: Experiment of the image task.
        set_name: Test set: as published, controversial samples removed (RM) or relabelled (RL).
        overrides: Settings to change in both, each as key=value.
    """
    trained = [train_itrp(experiment, data, overrides) for experiment in (text_experiment, image_experiment)]
    references = [f"{name}@{CHALLENGER}" for name in MODEL_NAMES.values()]
    evaluated = [evaluate_itrp([reference], labelled, set_name=set_name) for reference in references]
    evaluated.append(evaluate_itrp(references, labelled, set_name=set_name))
    promoted = promote_models("both", labelled, set_name)
    return PipelineReport(trained, evaluated, promoted, score_tweets())
