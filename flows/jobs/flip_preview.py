"""Which of the last scored labels a version would change: no Prefect in here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flows.jobs.seed_agreement import PREVIEW_PAIRS
from flows.platform import Platform
from infra.catalog.tables import LabelFile, Shard
from itrp.data.inputs import ShardFile
from itrp.labels import CLASS_NAMES, Task
from serving.files import find_examples, local_shards
from serving.labels import decode_labels
from serving.registry import ModelVersion

if TYPE_CHECKING:
    from serving.labeller import ShardLabeller

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
        labels = decode_labels(platform.store.get(label_file.key))
        ids, probabilities = labeller.label(file)
        before = dict(zip(labels.column("id").to_pylist(), labels.column(column).to_pylist(), strict=True))
        after = dict(zip(ids, probabilities[challenger.task].argmax(axis=1).tolist(), strict=True))
        looked_at += len(before.keys() & after.keys())
        changed += _describe_flips(file, before, after, challenger.task)
    return FlipPreview(looked_at, len(changed), changed[:PREVIEW_EXAMPLES])


def _open_labeller(platform: Platform, version: ModelVersion) -> "ShardLabeller":
    """The version as scoring would run it: a label near the boundary that bf16 turns over would look like a flip in fp32."""
    from serving.labeller import ShardLabeller

    settings = platform.settings
    return ShardLabeller(
        {version.task: platform.registry.fetch(version)},
        cache=settings.cache_dir,
        device=settings.device,
        precision=settings.precision,
        examples=partial(find_examples, platform.store, platform.catalog, version, settings.cache_dir),
    )


def _describe_flips(
    file: ShardFile, before: Mapping[str, int], after: Mapping[str, int], task: Task
) -> list[dict[str, Any]]:
    """By tweet id: a tweet that cannot be labelled is in neither."""
    from itrp.data.inputs import read_ids, read_texts

    names = CLASS_NAMES[task]
    return [
        {"id": tweet, "text": text[:100], "before": names[before[tweet]], "after": names[after[tweet]]}
        for tweet, text in zip(read_ids(file), read_texts(file), strict=True)
        if tweet in before and tweet in after and before[tweet] != after[tweet]
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
