"""What registered models say of a labelled data set, as class probabilities."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from flows.platform import Platform
from itrp.errors import WrongUseError
from itrp.labels import Task
from serving.assessment import Assessor, LabelledSet
from serving.champions import find_champions
from serving.registry import ModelVersion


def open_assessor(platform: Platform) -> Assessor:
    """With the platform's store, registry, cache and device."""
    settings = platform.settings
    return Assessor(platform.store, platform.registry, cache=settings.cache_dir, device=settings.device)


def find_models(platform: Platform, references: Sequence[str] | None) -> list[ModelVersion]:
    """The versions named, at most one a task, the text model first; the champions where none is named."""
    if references is None:
        champions = find_champions(platform.registry, platform.catalog).pair
        return [champions.text, champions.image]
    versions = [platform.registry.resolve(reference) for reference in references]
    if len({version.task for version in versions}) != len(versions):
        raise WrongUseError(f"expected one model a task, found {', '.join(references)}")
    return sorted(versions, key=lambda version: version.task is not Task.TEXT)


def predict_classes(
    platform: Platform, versions: Sequence[ModelVersion], labelled: LabelledSet
) -> dict[Task, NDArray[Any]]:
    """[n, 2] class probabilities of the data set's pairs by task."""
    assessor = open_assessor(platform)
    return {version.task: assessor.class_probabilities(version, labelled) for version in versions}
