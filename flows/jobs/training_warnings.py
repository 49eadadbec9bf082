"""What is doubtful about a version: found after training, written on it as tags, read by the gate. No Prefect in here."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flows.jobs.seed_agreement import find_unlabelled, newest_shards, open_predictions
from flows.platform import Platform
from itrp.clustering.mapping import apply_mapping
from itrp.data.shard_part import keep_rows
from itrp.labels import Task
from itrp.training.health import Finding, find_same_predictions
from serving.assessment import Assessor, LabelledSet
from serving.registry import CHALLENGER, CHAMPION, SAME_ANSWERS, WARNING_PREFIX, ModelVersion, Registry

logger = logging.getLogger(__name__)

_ROUND = ".round-"
COMPARED_PAIRS = 500
"""Whether two models answer one question shows on few pairs, and a model on a CPU reads some ten a second."""


def warning_tags(findings: Iterable[Finding]) -> dict[str, str]:
    """The tags that say so on a version."""
    return {
        f"{WARNING_PREFIX}{each.code}{f'{_ROUND}{each.round}' if each.round is not None else ''}": str(each)
        for each in findings
    }


def tags_until(tags: Mapping[str, str], number: int) -> dict[str, str]:
    """The tags of a version that holds the weights of an earlier round: what later rounds have done does not touch it."""

    def is_later(key: str) -> bool:
        at = key.rpartition(_ROUND)[2]
        return key.startswith(WARNING_PREFIX) and _ROUND in key and int(at) > number

    return {key: value for key, value in tags.items() if not is_later(key)}


def read_training_warnings(version: ModelVersion) -> dict[str, str]:
    """Sentences by code of what its training run left. A version of an older release has no such tags, and no warning."""
    found = {
        key.removeprefix(WARNING_PREFIX).partition(".")[0]: value
        for key, value in version.tags.items()
        if key.startswith(WARNING_PREFIX)
    }
    found.pop(SAME_ANSWERS, None)  # measured anew: the other task's model may be another one by now
    return found


def warn_of_same_answers(platform: Platform, versions: Sequence[ModelVersion]) -> list[Finding]:
    """Compare versions just registered with the other task's on unlabelled pairs; say it, and write it on them as a tag."""
    found: list[Finding] = []
    for version in versions:
        finding = compare_if_possible(partial(compare_unlabelled, platform, version))
        if finding is not None:
            platform.registry.tag(version, warning_tags([finding]))
            if str(finding) not in map(str, found):  # of one model under both names it is the same
                found.append(finding)
                logger.warning("%s", finding)
    return found


def compare_if_possible(compare: Callable[[], Finding | None]) -> Finding | None:
    """Its result; None, and a line that says so, where the other task's model does not answer: that is not this one's fault."""
    try:
        return compare()
    except Exception as error:
        logger.warning("whether text and image model predict the same is unknown (%s: %s)", type(error).__name__, error)
        return None


def compare_unlabelled(platform: Platform, version: ModelVersion) -> Finding | None:
    """`find_same_predictions` of a version and the other task's, on the newest unlabelled pairs. Predictions are kept on disk."""
    partner = find_partner(platform.registry, version)
    if partner is None:
        return None
    known = find_unlabelled(platform, version)
    shards, predictions = newest_shards(platform, known, COMPARED_PAIRS), open_predictions(platform)
    if shards[0].pairs > COMPARED_PAIRS:  # the only one then
        shards = [keep_rows(shards[0], 0, COMPARED_PAIRS, platform.settings.cache_dir / "compared")]
    groups = {each.task: _groups(each, predictions.clusters(each, shards)) for each in (version, partner)}
    return _compare(version, partner, groups, known.dataset.name)


def compare_labelled(
    registry: Registry, assessor: Assessor, version: ModelVersion, data: LabelledSet
) -> Finding | None:
    """The same on the pairs of a labelled data set, whose labels are not looked at."""
    partner = find_partner(registry, version)
    if partner is None:
        return None
    groups = {each.task: _groups(each, assessor.own_clusters(each, data)) for each in (version, partner)}
    return _compare(version, partner, groups, data.name)


def find_partner(registry: Registry, version: ModelVersion) -> ModelVersion | None:
    """The version of the other task it would score with: that one's champion, before there is one the newest.

    None where there is none, and for versions that cannot be compared: one model of four clusters answers as its other half
    does until its clusters have class names.
    """
    other = Task.IMAGE if version.task is Task.TEXT else Task.TEXT
    found = registry.find(other, CHAMPION) or registry.find(other, CHALLENGER)
    comparable = found is not None and all(_has_two_groups(each) for each in (version, found))
    return found if comparable else None


def _has_two_groups(version: ModelVersion) -> bool:
    return version.mapping is not None or version.model_task is version.task


def _groups(version: ModelVersion, clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    return clusters if version.mapping is None else apply_mapping(clusters, version.mapping)


def _compare(
    version: ModelVersion, partner: ModelVersion, groups: Mapping[Task, NDArray[np.int64]], data: str
) -> Finding | None:
    text, image = (version, partner) if version.task is Task.TEXT else (partner, version)
    return find_same_predictions(groups[Task.TEXT], groups[Task.IMAGE], names=(str(text), str(image)), data=data)
