"""Evaluating registered versions on human labels, and giving a version its class names: no Prefect in here."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from safetensors.torch import load_file

from flows.jobs.baseline_rows import evaluate_baselines
from flows.jobs.class_mapping import Naming, open_naming
from flows.jobs.model_predictions import open_assessor
from flows.jobs.rankings import list_figures, list_rows, rank_versions
from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.training_warnings import tags_until
from flows.platform import Platform
from flows.tracking.plots import plot_confusion
from flows.tracking.runs import log_figures
from infra.settings import Settings
from itrp.errors import WrongUseError
from itrp.evaluation.cost import Cost, add_costs
from itrp.evaluation.ranking import Ranking, format_rankings
from itrp.evaluation.results import (
    Choice,
    Evaluation,
    Protocol,
    evaluate,
    evaluate_relations,
    evaluate_together,
    format_evaluations,
)
from itrp.evaluation.sampled_figures import FEW_LABELS
from itrp.inference.prediction import VECTOR_MODELS
from itrp.labels import Task
from itrp.models.itrp_model import ItrpModel
from itrp.systems import load_system
from serving.assessment import Assessor, LabelledSet, load_labelled_set
from serving.costs import CostBook
from serving.registration import map_half, register_named
from serving.registry import ModelVersion, Registry, connect_mlflow, origin_tags

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateReport:
    """The result of the evaluated model, and what stands beside it."""

    task: str
    set: str
    protocol: str
    f1: float
    low: float
    high: float
    n: int
    accuracy: float
    round: int
    models: list[str]
    """The evaluated versions, after class names were chosen."""
    table: str = field(repr=False)
    """All rows as text: the model, majority, vanilla clusterings."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    naming: str = ""
    """How the class names were chosen, where it was not by all labels of a split."""
    rankings: list[dict[str, Any]] = field(default_factory=list)
    """AUC of each model, and the text model's correlation with ratings; None where a figure is not defined."""
    ranking_table: str = field(default="", repr=False)
    """The same as text."""
    caution: str = ""
    """How wide the interval is, where the test split has few labels."""


def run_evaluation(
    platform: Platform,
    references: Sequence[str],
    data: str,
    *,
    protocol: str = "dev",
    set_name: str = "raw",
    map_with: str | None = None,
    seed: int = 0,
) -> EvaluateReport:
    """Evaluate one task model, or both together on the image-text task, under a named protocol.

    A version without class names gets them under `dev` and `last`: the round and mapping chosen on the train split are
    registered as a new version of the same run, which becomes the challenger. `oracle` looks at the test labels and never
    registers anything. `map_with` stands in for a protocol (`open_naming`): so many labelled pairs drawn with the seed, or
    a dual encoder; it registers too. Raises WrongUseError, NotFoundError, DataError, WeightsUnavailableError.
    """
    versions = [platform.registry.resolve(reference) for reference in references]
    if len(versions) > 2 or len({version.task for version in versions}) != len(versions):
        raise WrongUseError(f"expected one model, or a text and an image model together, found {', '.join(references)}")
    refresh_if_reviewed(platform, data)
    labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
    assessor = open_assessor(platform)
    naming = open_naming(protocol, map_with, seed, assessor, labelled)
    versions = sorted(versions, key=lambda version: version.task is not Task.TEXT)
    costs = CostBook(platform.settings.cache_dir / "costs", labelled.shards[0], assessor.embeddings.device)
    result = replace(
        _evaluate(assessor, versions, labelled, naming, set_name), cost=_find_cost(platform.registry, versions, costs)
    )
    if naming.protocol is not Protocol.ORACLE:
        choices = result.choices if len(result.choices) == len(versions) else result.choices * len(versions)
        versions = [
            _name_classes(platform, assessor, version, choice, data, naming)
            for version, choice in zip(versions, choices, strict=True)
        ]
    rows = [result, *evaluate_baselines(platform, assessor, versions[0], labelled, result, costs)]
    rankings = rank_versions(assessor, versions, labelled, result)
    _log(platform.settings, versions, result, rankings)
    return _report(result, versions, rows, naming, rankings)


def tell_width(n: int, low: float, high: float) -> str:
    """A sentence on a weighted F1 of fewer than FEW_LABELS labels; empty for more."""
    if n >= FEW_LABELS:
        return ""
    return (
        f"{n} test labels only: the 95 % interval of the F1 is {100 * (high - low):.0f} points wide ({low:.2f} to {high:.2f}); "
        f"about {3 * n} more would halve it"
    )


def _find_cost(registry: Registry, versions: Sequence[ModelVersion], costs: CostBook) -> Cost:
    """Of all models that answer: one where two versions are the halves of one model of four clusters."""
    models = {version.run_id: version for version in versions}.values()
    return add_costs([costs.of_system(load_system(registry.fetch(version))[0]) for version in models])


def _evaluate(
    assessor: Assessor, versions: Sequence[ModelVersion], labelled: LabelledSet, naming: Naming, set_name: str
) -> Evaluation:
    """One version on its task, two models together, or the two names of one model of four clusters."""
    name = " + ".join(str(version) for version in versions)
    relations = [version for version in versions if version.model_task is Task.IMAGE_TEXT]
    if relations and (len({version.run_id for version in versions}) > 1 or len(relations) < len(versions)):
        raise WrongUseError(
            f"{relations[0]} is one half of a model of four clusters: evaluate it alone, or with the other half of the same "
            "training run"
        )
    together = len(versions) == 2
    predictions = [
        assessor.task_predictions(
            version, labelled, set_name, _rounds(assessor, version, naming), on=Task.IMAGE_TEXT if together else None
        )
        for version in versions
    ]
    if not relations:
        if together:
            return evaluate_together(naming.protocol, set_name, *predictions, system=name)
        return evaluate(naming.protocol, set_name, versions[0].task, predictions[0], system=name)
    wanted = Task.IMAGE_TEXT if together else versions[0].task
    every = evaluate_relations(naming.protocol, set_name, predictions[0], system=name)
    return next(evaluation for evaluation in every if evaluation.task is wanted)


def _rounds(assessor: Assessor, version: ModelVersion, naming: Naming) -> list[int]:
    rounds = assessor.rounds_of(version)
    return rounds[-1:] if naming.last_round_only else rounds


def _name_classes(
    platform: Platform, assessor: Assessor, version: ModelVersion, choice: Choice, data: str, naming: Naming
) -> ModelVersion:
    """The version itself when it has class names; else a new one with the chosen round's weights and its mapping."""
    if version.mapping is not None:
        return version
    model, _ = load_system(platform.registry.fetch(version))
    assert isinstance(model, VECTOR_MODELS)  # others have had their names from the beginning
    if isinstance(model, ItrpModel):
        model.load_tuned_state(load_file(assessor.tuned_file(version, choice.round)))
    tags = {
        **tags_until(origin_tags(version), choice.round),
        "itrp.mapped_on": data,
        **naming.tags(choice),
    }
    named = register_named(
        platform.registry, version, model, map_half(version, choice.mapping), choice.round,
        tags=tags, scratch=platform.settings.work_dir,
    )  # fmt: skip
    logger.info(
        "%s is round %d of %s with class names chosen on the train split of %s (%s)",
        named, choice.round, version, data, naming.protocol,
    )  # fmt: skip
    return named


def _log(settings: Settings, versions: Sequence[ModelVersion], result: Evaluation, rankings: Sequence[Ranking]) -> None:
    client = connect_mlflow(settings.mlflow_uri)
    for run_id in dict.fromkeys(version.run_id for version in versions):  # one run can have made both
        log_figures(settings, run_id, [(f"{result.task}/{name}", value) for name, value in result.figures()])
        title = f"{result.task} task, {result.set}, protocol {result.protocol}"
        figure = plot_confusion(result.task, result.confusion, title)
        client.log_figure(run_id, figure, f"plots/confusion_{result.task}_{result.set}_{result.protocol}.png")
    for version in versions:
        own = [ranking for ranking in rankings if ranking.system == str(version)]
        log_figures(settings, version.run_id, list_figures(own, result))


def _report(
    result: Evaluation,
    versions: Sequence[ModelVersion],
    rows: Sequence[Evaluation],
    naming: Naming,
    rankings: Sequence[Ranking],
) -> EvaluateReport:
    # a supervised version has had its names from the beginning; the halves of one model share a choice
    told = [
        naming.describe(choice) for version, choice in zip(versions, result.choices, strict=False) if not version.named
    ]
    return EvaluateReport(
        task=str(result.task),
        set=result.set,
        protocol=str(result.protocol),
        f1=result.f1,
        low=result.low,
        high=result.high,
        n=result.n,
        accuracy=result.accuracy,
        round=result.round,
        models=[str(version) for version in versions],
        table=format_evaluations(rows),
        rows=[
            {
                "system": row.system,
                "f1": row.f1,
                "low": row.low,
                "high": row.high,
                "accuracy": row.accuracy,
                "seconds_per_1000": row.cost.seconds_per_1000 if row.cost else None,
                "gflop_per_1000": row.cost.gflop_per_1000 if row.cost else None,
            }
            for row in rows
        ],
        naming="; ".join(dict.fromkeys(filter(None, told))),
        rankings=list_rows(rankings),
        ranking_table=format_rankings(rankings),
        caution=tell_width(result.n, result.low, result.high),
    )
