"""Deciding on a challenger, previewing what would change, and moving the champion: no Prefect in here."""

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from flows.data_sets import find_labelled_name
from flows.model_answers import open_answers
from flows.platform import Platform
from flows.seed_agreement import (
    PREVIEW_PAIRS,
    find_unlabelled,
    measure_agreement,
    newest_shards,
    open_shard_answers,
)
from infra.tables import LabelFile, Shard
from itrp.agreement import agreement, cluster_balance, mean_confidence
from itrp.annotations import select_set
from itrp.baselines.majority import predict_majority
from itrp.errors import UnmappedModelError, WrongUseError
from itrp.inputs import ShardFile
from itrp.labels import CLASS_NAMES, Task
from itrp.mapping import apply_mapping
from serving.assessment import Assessor, LabelledSet, load_labelled_set
from serving.examples import find_examples
from serving.files import local_shards
from serving.gate import GateDecision, decide_on_labels, decide_without_labels
from serving.labels import decode_labels
from serving.registry import CHALLENGER, CHAMPION, GATE_PREFIX, MODEL_NAMES, ModelVersion, explain_unmapped

if TYPE_CHECKING:
    from serving.labelling import ShardLabeller

logger = logging.getLogger(__name__)

PREVIEW_EXAMPLES = 5

LABEL_COLUMNS = {Task.TEXT: "text_is_represented", Task.IMAGE: "image_adds"}
"""The label file's column of each task."""


@dataclass(frozen=True)
class FlipPreview:
    """How many of the last scored labels the challenger would change."""

    looked_at: int
    changed: int
    examples: list[dict[str, Any]] = field(default_factory=list)
    """id, text, and the label before and after."""


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


def run_promotion(
    platform: Platform,
    task: Task,
    *,
    data: str | None = None,
    set_name: str = "raw",
    dry_run: bool = False,
    to: str | None = None,
    accept: bool = False,
) -> PromoteReport:
    """Put the challenger of a task through the gate and move the alias `champion` when it passes.

    `to`: move the alias to that version without a gate (roll back). `dry_run`: move nothing, write nothing, and show what
    would change. `accept`: promote on label-free figures when no labelled data set is there.
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
    decision = _decide(platform, challenger, champion, data or find_labelled_name(platform), set_name, accept)
    preview = preview_flips(platform, challenger) if dry_run else None
    if not dry_run:
        _write_gate(platform, challenger, champion, decision)
        if decision.passed:
            platform.registry.set_alias(challenger, CHAMPION)
    name = str(champion) if champion else None
    return PromoteReport(
        str(task), str(challenger), name, decision.passed and not dry_run, decision.reason, decision.figures, preview
    )


def review(
    platform: Platform, version: ModelVersion, before: ModelVersion | None, data: str | None, set_name: str = "raw"
) -> PromoteReport:
    """What the gate says of a version that was made champion by hand, and which of the last labels it changes.

    `before`: the champion it followed. Moves and writes nothing. Raises UnmappedModelError when it has no class names.
    """
    _require_names(version)
    rival = before if before is not None and before.mapping is not None else None
    decision = _decide(platform, version, rival, data, set_name, accept=False)
    preview = preview_flips(platform, version)
    name = str(before) if before else None
    return PromoteReport(
        str(version.task), str(version), name, decision.passed, decision.reason, decision.figures, preview
    )


def preview_flips(platform: Platform, challenger: ModelVersion) -> FlipPreview:
    """Label the last scored shards with the challenger and compare with the labels they have."""
    scored = _last_scored(platform)
    if not scored:
        return FlipPreview(0, 0)
    column = LABEL_COLUMNS[challenger.task]
    changed: list[dict[str, Any]] = []
    looked_at = 0
    labeller = _open_labeller(platform, challenger)
    for label_file, shard in scored:
        file = local_shards(platform.store, [shard], platform.settings.cache_dir)[0]
        before = decode_labels(platform.store.get(label_file.key)).column(column).to_numpy()
        after = labeller.label(file)[1][challenger.task].argmax(axis=1)
        looked_at += len(after)
        changed += _describe_flips(file, before, after, challenger.task)
    return FlipPreview(looked_at, len(changed), changed[:PREVIEW_EXAMPLES])


def _open_labeller(platform: Platform, version: ModelVersion) -> "ShardLabeller":
    """The version as scoring would run it: a label near the boundary that bf16 turns over would look like a flip in fp32."""
    from serving.labelling import ShardLabeller

    settings = platform.settings
    return ShardLabeller(
        {version.task: platform.registry.fetch(version)},
        cache=settings.cache_dir,
        device=settings.device,
        precision=settings.precision,
        examples=partial(find_examples, platform.store, platform.catalog, version, settings.cache_dir),
    )


def _describe_flips(
    file: ShardFile, before: NDArray[np.integer], after: NDArray[np.integer], task: Task
) -> list[dict[str, Any]]:
    from itrp.inputs import read_ids, read_texts

    ids, texts, names = read_ids(file), read_texts(file), CLASS_NAMES[task]
    return [
        {"id": ids[row], "text": texts[row][:100], "before": names[before[row]], "after": names[after[row]]}
        for row in np.flatnonzero(before != after)
    ]


def _last_scored(platform: Platform) -> list[tuple[LabelFile, Shard]]:
    """The newest label files, one a shard, of at most PREVIEW_PAIRS pairs (but one file at least)."""
    query = (
        select(LabelFile, Shard)
        .join(Shard, Shard.id == LabelFile.shard_id)
        .order_by(LabelFile.scored_at.desc(), LabelFile.id.desc())
    )
    chosen: dict[int, tuple[LabelFile, Shard]] = {}
    with platform.catalog.session() as session:
        for label_file, shard in session.execute(query):
            if chosen and sum(each.pairs for each, _ in chosen.values()) + label_file.pairs > PREVIEW_PAIRS:
                break
            chosen.setdefault(shard.id, (label_file, shard))
    return list(chosen.values())


def _decide(
    platform: Platform,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    data: str | None,
    set_name: str,
    accept: bool,
) -> GateDecision:
    if data is None:
        return _decide_without_labels(platform, challenger, champion, accept)
    labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
    assessor = open_answers(platform)
    rows, labels = select_set(labelled.annotations, challenger.task, set_name)
    answers = _classes(assessor, challenger, labelled)[rows]
    if champion is not None:
        rival, name = _classes(assessor, champion, labelled)[rows], str(champion)
    else:
        dev_labels = labelled.annotations.labels(challenger.task)[labelled.dev_rows]
        rival, name = predict_majority(dev_labels, len(rows)), "the most frequent class (no champion yet)"
    decision = decide_on_labels(labels, answers, rival, rival_name=name)
    # mapping and round were chosen on the train split when the version was given its class names
    return GateDecision(
        decision.passed, decision.reason, {**decision.figures, "protocol": "dev", "set": set_name, "data": data}
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
    answers = open_shard_answers(platform)
    probabilities = answers.probabilities(challenger, shards)
    clusters, k = probabilities.argmax(axis=1), probabilities.shape[1]
    seeds, rival = measure_agreement(platform, challenger), None
    if champion is not None and challenger.mapping is not None and champion.mapping is not None:
        # by class: the champion may have another number of clusters
        theirs = apply_mapping(answers.clusters(champion, shards), champion.mapping)
        rival = agreement(apply_mapping(clusters, challenger.mapping), theirs, len(CLASS_NAMES[challenger.task]))
    return decide_without_labels(
        agreement_between_seeds=seeds.agreement,
        agreement_of_all_seeds=seeds.agreement_all,
        balance=cluster_balance(clusters, k),
        confidence=mean_confidence(probabilities),
        agreement_with_champion=rival,
        accept=accept,
    )


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
    name = str(champion) if champion else None
    return PromoteReport(str(task), str(target), name, not dry_run, "chosen by hand with --to", preview=preview)


def _require_names(version: ModelVersion) -> None:
    if version.mapping is None:
        raise UnmappedModelError(explain_unmapped(str(version), f"{version.name}/{version.version}"))


def _write_gate(
    platform: Platform, challenger: ModelVersion, champion: ModelVersion | None, decision: GateDecision
) -> None:
    figures = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in decision.figures.items()}
    told = {"passed": decision.passed, "reason": decision.reason, "champion_before": champion or "none", **figures}
    platform.registry.tag(challenger, {GATE_PREFIX + name: value for name, value in told.items()})
