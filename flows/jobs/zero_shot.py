"""A model asked without training, against human labels: no Prefect in here."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from flows.jobs.baseline_rows import evaluate_majority
from flows.jobs.reviewed import refresh_if_reviewed
from flows.platform import Platform
from flows.tracking.runs import TrackedData, log_figures, track_run
from itrp.baselines.config import ZeroShotConfig
from itrp.errors import WrongUseError
from itrp.evaluation.results import Protocol, format_evaluations
from itrp.labels import Task
from itrp.models.device import choose_device
from itrp.models.dual_encoder import is_dual_encoder
from itrp.reproduction.cells import evaluate_predictions
from itrp.reproduction.predictions import RunPredictions
from serving.assessment import load_labelled_set
from serving.costs import CostBook
from serving.zero_shot import predict_zero_shot


@dataclass(frozen=True)
class ZeroShotReport:
    """All three tasks' results of one model."""

    model: str
    method: str
    """similarity or vlm."""
    set: str
    protocol: str
    run_id: str
    prompt_sha256: str
    """Of the question, where there was one."""
    rows: list[dict[str, Any]]
    table: str = field(repr=False)


def run_zero_shot(
    platform: Platform,
    model: str,
    data: str,
    *,
    protocol: str = "dev",
    set_name: str = "raw",
    flow_run_id: str | None = None,
) -> ZeroShotReport:
    """Ask a dual encoder (CLIP, SigLIP: one threshold a task, chosen under the protocol) or a vision-language model.

    Raises WrongUseError for the protocol `last`, NotFoundError and DataError for the data set, WeightsUnavailableError.
    """
    wanted = Protocol(protocol)
    if wanted is Protocol.LAST:
        raise WrongUseError("a model that is not trained has no last checkpoint: expected the protocol dev or oracle")
    method = "similarity" if is_dual_encoder(model) else "vlm"
    config = ZeroShotConfig(name=f"zero-shot-{method}", method=method, model=model)
    settings = platform.settings
    refresh_if_reviewed(platform, data)
    labelled = load_labelled_set(platform.store, platform.catalog, data, settings.cache_dir)
    costs = CostBook(settings.cache_dir / "costs", labelled.shards[0], choose_device(settings.device))
    tracked = TrackedData(data, labelled.hash, len(labelled.annotations), platform.store.url)
    identity = hashlib.sha256(f"{config.model_dump_json()} {labelled.hash}".encode()).hexdigest()
    with track_run(settings, config, tracked, identity=identity, resume=False, flow_run_id=flow_run_id) as tracker:
        predictions = predict_zero_shot(config, labelled, costs, settings.cache_dir)
        results = [
            replace(
                evaluate_predictions([predictions], labelled.annotations, task, set_name, wanted, system=model),
                cost=predictions.cost,
            )
            for task in Task
        ]
        figures = [(f"{each.task}/{name}", value) for each in results for name, value in each.figures()]
        log_figures(settings, tracker.run_id, figures)
    rows = [row for result in results for row in (result, evaluate_majority(labelled, result))]
    return ZeroShotReport(
        model=model,
        method=method,
        set=set_name,
        protocol=protocol,
        run_id=tracker.run_id,
        prompt_sha256=predictions.prompt_sha256 if isinstance(predictions, RunPredictions) else "",
        rows=[
            {"task": str(each.task), "f1": each.f1, "low": each.low, "high": each.high, "n": each.n,
             "seconds_per_1000": predictions.cost.seconds_per_1000, "gflop_per_1000": predictions.cost.gflop_per_1000}
            for each in results
        ],
        table=format_evaluations(rows),
    )  # fmt: skip
