"""Deciding on a challenger, previewing what would change, and moving the champion: no Prefect in here."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flows.jobs.flip_preview import FlipPreview, preview_flips
from flows.jobs.model_predictions import open_assessor
from flows.jobs.reviewed import choose_judging_data, refresh_if_reviewed
from flows.jobs.seed_agreement import (
    find_unlabelled,
    measure_agreement,
    newest_shards,
    open_predictions,
)
from flows.jobs.training_warnings import (
    compare_if_possible,
    compare_labelled,
    compare_unlabelled,
    read_training_warnings,
    warning_tags,
)
from flows.platform import Platform
from flows.tracking.provenance import find_person
from itrp.baselines.untrained import predict_majority
from itrp.clustering.agreement import agreement, cluster_balance, mean_confidence
from itrp.clustering.mapping import apply_mapping
from itrp.data.annotations import select_set
from itrp.errors import UnmappedModelError, WrongUseError
from itrp.inference.prediction import VECTOR_MODELS
from itrp.inference.runtimes import choose_runtime
from itrp.inference.speed import NetworkSpeed
from itrp.labels import CLASS_NAMES, Task
from itrp.models.encoder_pair import EncoderPair
from itrp.training.health import Finding
from serving.assessment import Assessor, LabelledSet, load_labelled_set
from serving.gate import (
    GateDecision,
    decide_on_labels,
    decide_on_matching,
    decide_without_labels,
    weigh_warnings,
)
from serving.matching import MatchScores, score_matching
from serving.registry import (
    ALIGNED_TAG,
    CHALLENGER,
    CHAMPION,
    GATE_PREFIX,
    MODEL_NAMES,
    ModelVersion,
    Registry,
    explain_unmapped,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromoteReport:
    """What was decided for one task."""

    task: str
    challenger: str
    champion: str | None
    """The champion before."""
    promoted: bool
    reason: str
    figures: dict[str, float | str] = field(default_factory=dict)
    preview: FlipPreview | None = None
    warnings: list[str] = field(default_factory=list)
    """What is doubtful about the challenger, whether it was accepted or not."""


def promote_models(
    platform: Platform,
    task: str = "both",
    data: str | None = None,
    set_name: str = "raw",
    dry_run: bool = False,
    to: str | None = None,
    accept: bool = False,
) -> list[PromoteReport]:
    """`run_promotion` for one task, "text" or "image", or both. The arguments are those of the flow `promote-models`."""
    return [
        run_promotion(platform, each, data=data, set_name=set_name, dry_run=dry_run, to=to, accept=accept)
        for each in choose_tasks(task, to)
    ]


def choose_tasks(task: str, to: str | None) -> list[Task]:
    """The tasks to decide on. Raises WrongUseError for a version of no task."""
    if to is not None and task == "both":
        raise WrongUseError("--to VERSION needs the task it is for: itrp promote text --to 3")
    return [Task.TEXT, Task.IMAGE] if task == "both" else [Task(task)]


def run_promotion(
    platform: Platform,
    task: Task,
    *,
    data: str | None = None,
    set_name: str = "raw",
    dry_run: bool = False,
    to: str | None = None,
    accept: bool = False,
    flow_run_id: str | None = None,
) -> PromoteReport:
    """Put the challenger of a task through the gate and move the alias `champion` when it passes.

    `to`: move the alias to that version without a gate (roll back). `dry_run`: move nothing, write nothing, and show what
    would change. `accept`: promote on label-free figures when no labelled data set is there, and in spite of what is
    doubtful about the challenger's training; who has accepted what is written on the version.
    Raises NotFoundError without a challenger, UnmappedModelError when its clusters have no class names.
    """
    champion = platform.registry.find(task, CHAMPION)
    if to is not None:
        return _roll_back(platform, task, champion, to, dry_run=dry_run)
    challenger = platform.registry.resolve(f"{MODEL_NAMES[task]}@{CHALLENGER}")
    _require_names(challenger)
    if champion is not None and champion.version == challenger.version:
        return PromoteReport(
            str(task), str(challenger), str(champion), False, "the challenger is the champion already: nothing to do"
        )
    judged = _judge(platform, challenger, champion, data or choose_judging_data(platform, task), set_name, accept)
    preview = preview_flips(platform, challenger) if dry_run else None
    if not dry_run:
        _write_gate(platform.registry, challenger, champion, judged, _name_person(flow_run_id) if accept else None)
        if judged.decision.passed:
            platform.registry.set_alias(challenger, CHAMPION)
    return _report(challenger, champion, judged, preview, promoted=judged.decision.passed and not dry_run)


def review(
    platform: Platform, version: ModelVersion, before: ModelVersion | None, data: str | None, set_name: str = "raw"
) -> PromoteReport:
    """What the gate says of a version that was made champion by hand, and which of the last labels it changes.

    `before`: the champion it followed. Moves and writes nothing. Raises UnmappedModelError when it has no class names.
    """
    _require_names(version)
    rival = before if before is not None and before.mapping is not None else None
    judged = _judge(platform, version, rival, data, set_name, accept=False)
    preview = preview_flips(platform, version)
    return _report(version, before, judged, preview, promoted=judged.decision.passed)


def _report(
    version: ModelVersion,
    champion: ModelVersion | None,
    judged: "_Judged",
    preview: FlipPreview | None,
    *,
    promoted: bool,
) -> PromoteReport:
    return PromoteReport(
        str(version.task),
        str(version),
        str(champion) if champion else None,
        promoted,
        judged.decision.reason,
        judged.decision.figures,
        preview,
        list(judged.warnings.values()),
    )


@dataclass(frozen=True)
class _Judged:
    """A decision, and what is doubtful about the challenger."""

    decision: GateDecision
    warnings: Mapping[str, str]
    """Sentences by code."""
    accepted: tuple[str, ...]
    """What it passes on a person's word alone."""
    same_answers: Finding | None
    """What was found out just now, and is not on the version yet."""


def _judge(
    platform: Platform,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    data: str | None,
    set_name: str,
    accept: bool,
) -> _Judged:
    if data is None:
        decide = _decide_on_matching if ALIGNED_TAG in challenger.tags else _decide_without_labels
        decision = decide(platform, challenger, champion, accept)
        same = compare_if_possible(partial(compare_unlabelled, platform, challenger))
    else:
        refresh_if_reviewed(platform, data)
        labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
        assessor = open_assessor(platform)
        decision = _decide_on_labels(assessor, challenger, champion, labelled, set_name)
        same = compare_if_possible(partial(compare_labelled, platform.registry, assessor, challenger, labelled))
    warnings = read_training_warnings(challenger) | ({same.code: str(same)} if same else {})
    decision = weigh_warnings(decision, warnings, accept=accept)
    accepted = (*(["label-free figures"] if data is None else []), *warnings) if accept and decision.passed else ()
    return _Judged(decision, warnings, accepted, same)


def _decide_on_labels(
    assessor: Assessor,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    labelled: LabelledSet,
    set_name: str,
) -> GateDecision:
    rows, labels = select_set(labelled.annotations, challenger.task, set_name)
    predictions = _classes(assessor, challenger, labelled)[rows]
    if champion is not None:
        rival, name = _classes(assessor, champion, labelled)[rows], str(champion)
    else:
        dev_labels = labelled.annotations.labels(challenger.task)[labelled.dev_rows]
        rival, name = predict_majority(dev_labels, len(rows)), "the most frequent class (no champion yet)"
    decision = decide_on_labels(labels, predictions, rival, rival_name=name)
    # mapping and round were chosen on the train split when the version was given its class names
    return GateDecision(
        decision.passed,
        decision.reason,
        {**decision.figures, "protocol": "dev", "set": set_name, "data": labelled.name},
    )


def _classes(assessor: Assessor, version: ModelVersion, labelled: LabelledSet) -> NDArray[np.int64]:
    """The version's classes [n] for all pairs of a labelled set, with its own round and mapping."""
    _require_names(version)
    assert version.mapping is not None
    return apply_mapping(assessor.own_clusters(version, labelled), version.mapping)


def _decide_without_labels(
    platform: Platform, challenger: ModelVersion, champion: ModelVersion | None, accept: bool
) -> GateDecision:
    shards = newest_shards(platform, find_unlabelled(platform, challenger))
    predictions = open_predictions(platform)
    probabilities = predictions.probabilities(challenger, shards)
    clusters, k = probabilities.argmax(axis=1), probabilities.shape[1]
    seeds, rival = measure_agreement(platform, challenger), None
    if champion is not None and challenger.mapping is not None and champion.mapping is not None:
        # by class: the champion may have another number of clusters
        theirs = apply_mapping(predictions.clusters(champion, shards), champion.mapping)
        rival = agreement(apply_mapping(clusters, challenger.mapping), theirs, len(CLASS_NAMES[challenger.task]))
    return decide_without_labels(
        agreement_between_seeds=seeds.agreement,
        agreement_of_all_seeds=seeds.agreement_all,
        balance=cluster_balance(clusters, k),
        confidence=mean_confidence(probabilities),
        agreement_with_champion=rival,
        accept=accept,
    )


def _decide_on_matching(
    platform: Platform, challenger: ModelVersion, champion: ModelVersion | None, accept: bool
) -> GateDecision:
    shards = newest_shards(platform, find_unlabelled(platform, challenger))
    predictions = open_predictions(platform)
    aligned, checks = predictions.load(challenger), platform.settings.cache_dir / "checks"
    speed = NetworkSpeed([aligned] if isinstance(aligned, EncoderPair) else [], checks, lambda: shards[0])
    runtime = choose_runtime(predictions.embeddings.device, platform.settings.precision, speed)  # as it was trained

    def score(version: ModelVersion) -> MatchScores | None:
        """None for a system of another kind, which cannot be asked for a text beside another image."""
        model, mapping = aligned if version == challenger else predictions.load(version), version.mapping
        if mapping is None or not isinstance(model, VECTOR_MODELS) or version.model_task is not Task.TEXT:
            return None
        return score_matching(model, mapping, shards, predictions.embeddings, runtime=runtime)

    own = score(challenger)
    assert own is not None  # an aligned model predicts from vectors
    rival = score(champion) if champion is not None else None
    if champion is not None and rival is None:
        told = f"the champion {champion} cannot be compared so; labels, or --accept, decide"
        decision = decide_on_matching(own, None, rival_name=told, accept=accept)
        return replace(decision, passed=decision.passed and accept)
    return decide_on_matching(own, rival, rival_name=str(champion) if champion else "no champion yet", accept=accept)


def _roll_back(
    platform: Platform, task: Task, champion: ModelVersion | None, to: str, *, dry_run: bool
) -> PromoteReport:
    if not to.isdigit():
        raise WrongUseError(f"--to expects the number of a version, found {to!r}")
    target = platform.registry.resolve(f"{MODEL_NAMES[task]}/{to}")
    _require_names(target)
    preview = preview_flips(platform, target) if dry_run else None
    if not dry_run:
        platform.registry.set_alias(target, CHAMPION)
    name, warnings = str(champion) if champion else None, [*read_training_warnings(target).values()]
    told = "; ".join(["chosen by hand with --to", *(f"warning: {each}" for each in warnings)])
    return PromoteReport(str(task), str(target), name, not dry_run, told, preview=preview, warnings=warnings)


def _require_names(version: ModelVersion) -> None:
    if version.mapping is None and ALIGNED_TAG in version.tags:
        why = read_training_warnings(version).get("weak-alignment", "the alignment was too weak")
        raise UnmappedModelError(f"{version} has no class names and cannot score: {why}")
    if version.mapping is None:
        raise UnmappedModelError(explain_unmapped(str(version), f"{version.name}/{version.version}"))


def _name_person(flow_run_id: str | None) -> str:
    """Who accepts, as far as it is known here: the user of this process, and the flow run, whose page knows more."""
    person = find_person()
    return f"{person}, flow run {flow_run_id}" if flow_run_id else person


def _write_gate(
    registry: Registry,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    judged: _Judged,
    person: str | None,
) -> None:
    decision = judged.decision
    figures = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in decision.figures.items()}
    told = {"passed": decision.passed, "reason": decision.reason, "champion_before": champion or "none", **figures}
    if judged.accepted:
        told |= {"accepted": ", ".join(judged.accepted), "accepted_by": person or ""}
    tags = {GATE_PREFIX + name: value for name, value in told.items()}
    registry.tag(challenger, {**tags, **warning_tags([judged.same_answers] if judged.same_answers else [])})
