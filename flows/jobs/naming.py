"""Class names for clusters without human labels: by a person's word, or by a dual encoder. No Prefect in here."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from flows.jobs.class_mapping import Naming
from flows.jobs.contact_sheet import PAIRS, find_shown_data, find_unsupervised, look_at
from flows.jobs.datasets import KnownData
from flows.jobs.seed_agreement import open_predictions
from flows.platform import Platform
from flows.tracking.provenance import find_person
from itrp.errors import WrongUseError
from itrp.evaluation.class_mapping import SimilarityChoice, SimilarityNaming, name_by_person
from itrp.evaluation.protocols import RoundPredictions
from itrp.inference.prediction import VECTOR_MODELS
from itrp.labels import CLASS_NAMES, PERSON_WORDS, UNLABELLED, Task
from itrp.models.dual_encoder import load_dual_encoder
from itrp.systems import load_system
from serving.assessment import own_round
from serving.registration import map_half, register_named
from serving.registry import MAPPED_PREFIX, ONE_CLASS, WARNING_PREFIX, ModelVersion, Registry, origin_tags


@dataclass(frozen=True)
class NamingReport:
    """A version with class names."""

    model: str
    named_from: str
    task: str
    data: str
    by: str
    """person, or joint: a dual encoder."""
    names: dict[str, str]
    """Cluster -> class of the task the version answers."""
    told: str
    """How the names were found."""
    next: list[str]
    """Commands."""
    gap: float | None = None
    """Of names by similarity: between the clusters' mean cosines, in standard deviations; z is the same in standard errors."""
    z: float | None = None
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """For people."""
        names = ", ".join(f"cluster {cluster} is '{name}'" for cluster, name in self.names.items())
        return "\n".join(
            [
                f"{self.model} (challenger), made of {self.named_from}: {names}",
                self.told,
                *(f"warning: {warning}" for warning in self.warnings),
                *(f"next: {command}" for command in self.next),
            ]
        )


def name_by_words(
    platform: Platform,
    reference: str,
    words: Mapping[int, str],
    *,
    data: str | None = None,
    person: str | None = None,
) -> NamingReport:
    """Register a version with the names a person gives its clusters (`name_by_person`) as the new challenger.

    person: who; by default the user of this process. data: what they have looked at. Clusters may all have one name: the version
    says so as a warning, which promotion rejects until somebody accepts it. Raises as `show_clusters`.
    """
    version = find_unsupervised(platform, reference)
    mapping = name_by_person(version.model_task, words)
    known = find_shown_data(platform, version, data)
    who, now = person or find_person(), datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"by": "person", "person": who, "at": now}
    named = _register(platform, version, mapping, known, tags)
    typed = "".join(f" --cluster {cluster}={word}" for cluster, word in sorted(words.items()))
    return _report(
        platform.registry, version, named, known, "person", f"named by {who} on tweets of {known.dataset.name}", typed
    )


def name_by_similarity(
    platform: Platform, reference: str, encoder: str, *, data: str | None = None, pairs: int = PAIRS, seed: int = 0
) -> NamingReport:
    """Register a version whose clusters have the names that text-image cosines of a dual encoder give them; no label is read.

    encoder: hub id or folder of a CLIP or SigLIP. Raises as `show_clusters`, WeightsUnavailableError, DataError for an empty
    cluster.
    """
    if encoder.isdecimal():
        raise WrongUseError(
            f"expected a CLIP or SigLIP, found {encoder}: names by so many labelled pairs need human labels: itrp evaluate "
            f"{reference} --data NAME --map-with {encoder}"
        )
    version = find_unsupervised(platform, reference)
    known = find_shown_data(platform, version, data)
    dual_encoder = load_dual_encoder(encoder)
    seen = look_at(platform, version, known, pairs, seed)
    predictions = open_predictions(platform)
    cosines = predictions.kept.cosines(dual_encoder, seen.files, predictions.embeddings.device)
    usable = seen.usable & np.isfinite(cosines)
    clusters = seen.probabilities.argmax(axis=1)[usable]
    rule = SimilarityNaming(cosines[usable])
    rounds = [RoundPredictions(own_round(version), clusters, clusters[:0])]
    choice = rule.choose(version.model_task, rounds, np.full(len(clusters), UNLABELLED))
    naming = Naming(rule, encoder)
    tags = {name.removeprefix(MAPPED_PREFIX): value for name, value in naming.tags(choice).items()}
    named = _register(platform, version, choice.mapping, known, tags)
    told = f"{naming.describe(choice)}; {len(clusters)} pairs of {known.dataset.name}"
    return _report(platform.registry, version, named, known, str(rule), told, f" --map-with {encoder}", choice)


def _register(
    platform: Platform,
    version: ModelVersion,
    mapping: tuple[int, ...],
    known: KnownData,
    tags: Mapping[str, str],
) -> ModelVersion:
    """The version's own weights with the mapping, as the new challenger."""
    model, _ = load_system(platform.registry.fetch(version))
    if not isinstance(model, VECTOR_MODELS):
        raise WrongUseError(
            f"expected a model of clusters, found the {type(model).__name__} {version}: nothing to name"
        )
    half = map_half(version, mapping)
    told = {f"{MAPPED_PREFIX}{name}": value for name, value in {"on": known.dataset.name, **tags}.items()}
    if len(set(half)) == 1:
        told[WARNING_PREFIX + ONE_CLASS] = _warn_of_one_class(version, half[0])
    return register_named(
        platform.registry, version, model, half, own_round(version),
        tags={**origin_tags(version), **told}, scratch=platform.settings.work_dir,
    )  # fmt: skip


def _warn_of_one_class(version: ModelVersion, index: int) -> str:
    clusters, name = len(PERSON_WORDS[version.model_task]), CLASS_NAMES[version.task][index]
    return (
        f"all {clusters} clusters were given the name '{name}', so every tweet gets this label: train again, or name one of them "
        "otherwise"
    )


def _report(
    registry: Registry,
    version: ModelVersion,
    named: ModelVersion,
    known: KnownData,
    by: str,
    told: str,
    typed: str,
    choice: SimilarityChoice | None = None,
) -> NamingReport:
    """typed: the options that name the other half of a model of four clusters in the same way."""
    assert named.mapping is not None
    one_class = named.tags.get(WARNING_PREFIX + ONE_CLASS)
    half = _find_unnamed_half(registry, version)
    return NamingReport(
        model=str(named),
        named_from=str(version),
        task=str(named.task),
        data=known.dataset.name,
        by=by,
        names={str(cluster): CLASS_NAMES[named.task][index] for cluster, index in enumerate(named.mapping)},
        told=told,
        next=[
            *([f"itrp name {half}{typed} --data {shlex.quote(known.dataset.name)}"] if half else []),
            f"itrp promote {named.task}",
        ],
        gap=choice.gap if choice else None,
        z=choice.z if choice else None,
        warnings=[one_class] if one_class else [],
    )


def _find_unnamed_half(registry: Registry, version: ModelVersion) -> ModelVersion | None:
    """The newest version of the other task made by the same run, where one model answers both and that half has no names yet."""
    if version.model_task is not Task.IMAGE_TEXT:
        return None
    other = Task.IMAGE if version.task is Task.TEXT else Task.TEXT
    newest = next((each for each in registry.versions(other) if each.run_id == version.run_id), None)
    return newest if newest is not None and newest.mapping is None else None
