"""The pair of versions that scores: the registry's champions, and where one has no class names the last that had them."""

import logging
from dataclasses import dataclass

from infra.catalog.database import Catalog
from infra.catalog.queries import champion_history
from itrp.labels import Task
from serving.errors import NotFoundError, NotReadyError
from serving.registry import CHAMPION, MODEL_NAMES, ModelPair, ModelVersion, Registry, explain_unmapped

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stopgap:
    """A task whose alias names a version without class names, and the last named champion that scores instead."""

    unnamed: ModelVersion
    kept: ModelVersion

    def __str__(self) -> str:
        """What is wrong and the next step, one line."""
        why = explain_unmapped(f"{self.unnamed}, which the alias {CHAMPION} names,", str(self.unnamed))
        return f"{self.kept} continues to score: {why}; or move the alias back"


@dataclass(frozen=True)
class Champions:
    """The pair to score with."""

    pair: ModelPair
    stopgaps: tuple[Stopgap, ...] = ()


def find_champions(registry: Registry, catalog: Catalog) -> Champions:
    """The champions as they are now. A version without class names cannot label: the last named champion stays, with a warning.

    Raises NotReadyError, naming the next step, when a task has no champion, or an unnamed one and never had another.
    """
    found = {task: registry.find(task, CHAMPION) for task in MODEL_NAMES}
    missing = [str(task) for task, version in found.items() if version is None]
    text, image = found[Task.TEXT], found[Task.IMAGE]
    if text is None or image is None:
        raise NotReadyError(
            f"no champion yet for the {' and the '.join(missing)} task: train a model, then `itrp promote`"
        )
    stopgaps = [_find_stopgap(registry, catalog, version) for version in (text, image) if version.mapping is None]
    for stopgap in stopgaps:
        logger.warning("%s", stopgap)
    kept = {stopgap.kept.task: stopgap.kept for stopgap in stopgaps}
    return Champions(ModelPair(kept.get(Task.TEXT, text), kept.get(Task.IMAGE, image)), tuple(stopgaps))


def _find_stopgap(registry: Registry, catalog: Catalog, unnamed: ModelVersion) -> Stopgap:
    """With the newest former champion that has class names. Raises NotReadyError where there was none."""
    with catalog.session() as session:
        numbers = champion_history(session, str(unnamed.task))
    for number in numbers:
        try:
            former = registry.resolve(f"{unnamed.name}/{number}")
        except NotFoundError:  # deleted in the registry since
            continue
        if former.mapping is not None:
            return Stopgap(unnamed, former)
    raise NotReadyError(explain_unmapped(str(unnamed), str(unnamed)))
