"""One model's labels for a data set, as a file: without the ledger, without a champion. No Prefect in here."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa

from flows.jobs.datasets import find_data
from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.seed_agreement import choose_watched, open_predictions
from flows.platform import Platform
from infra.catalog.tables import Shard
from itrp.clustering.mapping import mapped_probabilities
from itrp.data.inputs import find_set_aside, read_ids
from itrp.errors import UnmappedModelError
from itrp.labels import CLASS_NAMES, Task
from itrp.progress import Progress, count_stage, ignore_progress
from serving.files import local_shards
from serving.prediction_file import build_predictions, check_prediction_file, write_predictions
from serving.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, explain_unmapped

SHARDS_TOGETHER = 8
"""So many are fetched and handed to the encoders at a time."""


@dataclass(frozen=True)
class PredictReport:
    """What was written."""

    model: str
    alias: str
    """By which it was found where a task was named: champion or challenger; else empty."""
    data: str
    file: str
    pairs: int
    labelled: int
    without_label: int
    classes: dict[str, int] = field(default_factory=dict)
    """Labelled pairs by class name, both present."""
    reasons: dict[str, int] = field(default_factory=dict)
    """The others by reason code."""

    def __str__(self) -> str:
        """For people."""
        told = ", ".join(f"{count} {code}" for code, count in self.reasons.items())
        counts = ", ".join(f"{count} {name}" for name, count in self.classes.items())
        return (
            f"{self.pairs} pairs: {self.labelled} labelled, {self.without_label} without label{f' ({told})' if told else ''}\n"
            f"labelled by {self.model}{f', the {self.alias}' if self.alias else ''}: {counts}\n"
            f"written to {self.file}"
        )


def run_prediction(
    platform: Platform,
    reference: str,
    data: str,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = ignore_progress,
) -> PredictReport:
    """Write id, label, class, probability and reason of every pair of a data set, shard by shard.

    reference: as `Registry.resolve` takes it, or a task's name (`find_version`). A pair whose image cannot be decoded has a
    reason and no label. Predictions are kept as everybody's are. Raises WrongUseError, NotFoundError, UnmappedModelError.
    """
    check_prediction_file(out, overwrite=overwrite)
    refresh_if_reviewed(platform, data)
    known = find_data(platform.catalog, data)
    version, alias = find_version(platform, reference)
    if version.mapping is None:
        raise UnmappedModelError(explain_unmapped(str(version), str(version)))
    names = CLASS_NAMES[version.task]
    classes, reasons = Counter(dict.fromkeys(names, 0)), Counter[str]()
    count = count_stage(progress, f"pairs labelled by {version}", known.pairs)
    with write_predictions(out, overwrite=overwrite) as write:
        for table in _predict_tables(platform, version, known.shards):
            write(table)
            classes.update(name for name in table.column("class").to_pylist() if name is not None)
            reasons.update(
                reason.partition(":")[0] for reason in table.column("reason").to_pylist() if reason is not None
            )
            count(len(table))
    labelled = sum(classes.values())
    return PredictReport(
        model=str(version),
        alias=alias,
        data=data,
        file=str(out),
        pairs=known.pairs,
        labelled=labelled,
        without_label=known.pairs - labelled,
        classes=dict(classes),
        reasons=dict(reasons.most_common()),
    )


def find_version(platform: Platform, reference: str) -> tuple[ModelVersion, str]:
    """The version a reference names, and "". `text` or `image` is that task's champion, before there is one its challenger:
    then the alias stands in the place of the "".

    Raises WrongUseError, NotFoundError, UnavailableError.
    """
    if reference not in (Task.TEXT, Task.IMAGE):
        return platform.registry.resolve(reference), ""
    version = choose_watched(platform, Task(reference))
    return version, CHAMPION if _is_champion(platform.registry, version) else CHALLENGER


def _is_champion(registry: Registry, version: ModelVersion) -> bool:
    champion = registry.find(version.task, CHAMPION)
    return champion is not None and champion.version == version.version


def _predict_tables(platform: Platform, version: ModelVersion, shards: Sequence[Shard]) -> Iterator[pa.Table]:
    """The rows of each shard. The model is loaded once, and only where a shard is new to it."""
    assert version.mapping is not None
    predictions, settings = open_predictions(platform), platform.settings
    load = cache(lambda: predictions.load(version))
    for start in range(0, len(shards), SHARDS_TOGETHER):
        files = local_shards(platform.store, shards[start : start + SHARDS_TOGETHER], settings.cache_dir)
        for file, clusters in zip(files, predictions.iterate(version, files, load), strict=True):
            # asked last: whoever embeds a shard finds out which images cannot be decoded
            unread = find_set_aside(file, settings.cache_dir / "embeddings")
            named = mapped_probabilities(clusters, version.mapping, 2)
            yield build_predictions(read_ids(file), named, unread, CLASS_NAMES[version.task])
