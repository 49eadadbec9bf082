"""A data set's tweets with their labels, a model's and people's, shard by shard in bounded memory."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.jobs.datasets import KnownData
from flows.jobs.review_files.human_labels import Settled, read_settled
from flows.jobs.review_files.pictures import PictureFolder, read_rows
from flows.platform import Platform
from infra.catalog.queries import in_parts
from infra.catalog.tables import LabelFile, Shard
from infra.parallel import map_in_order, open_pool
from itrp.labels import Task, relation_code
from serving.errors import NotFoundError
from serving.labels import decode_labels, read_set_aside_rows

TOGETHER = 250
"""Tweets of one question to the catalog."""
EXPORT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("lang", pa.string()),
        ("picture", pa.string()),
        ("image_path", pa.string()),
        ("image_sha256", pa.string()),
        ("text_is_represented", pa.int8()),
        ("image_adds", pa.int8()),
        ("relation", pa.string()),
        ("text_is_represented_probability", pa.float64()),
        ("image_adds_probability", pa.float64()),
        ("text_version", pa.string()),
        ("image_version", pa.string()),
        ("without_label", pa.string()),
        ("human_text_is_represented", pa.int8()),
        ("human_image_adds", pa.int8()),
        ("human_relation", pa.string()),
        ("human_text_people", pa.int32()),
        ("human_image_people", pa.int32()),
        ("human_text_random", pa.bool_()),
        ("human_image_random", pa.bool_()),
        ("data", pa.string()),
    ]
)
"""Columns of an export. `picture` is relative to the file; `image_path` is the name the image came under; the columns from
text_is_represented to without_label are a model pair's, the human ones settled labels; `…_random` says whether one measures."""

Row = dict[str, Any]


@dataclass(frozen=True)
class ExportFilter:
    """Which tweets are exported; None restricts nothing."""

    since: datetime | None = None
    """Tweets written then or later; those without a time are left out."""
    version: tuple[str, str] | None = None
    """Only this pair's labels (text, image); by default each tweet's newest."""
    relations: Collection[str] = ()
    """Only tweets with one of these relations by the model."""
    human_only: bool = False
    """Only tweets that people have labelled."""


class ReadHuman(Protocol):
    """Looks up what people say of some tweets."""

    def __call__(self, session: Session, dataset_id: int, tweet_ids: Collection[str]) -> Mapping[str, Any]:
        """Tweet id -> whatever the writer takes."""
        ...


def iterate_tweets(
    platform: Platform,
    known: KnownData,
    chosen: ExportFilter,
    read_human: ReadHuman,
    *,
    with_pictures: bool,
) -> Iterator[tuple[Row, Row, Any]]:
    """(a shard's row, the model's label, what people say) of each tweet that the filter leaves, in stored order.

    Without pictures a row's `image` has no bytes. A label is empty where there is none. Raises NotFoundError for a pair
    that has labelled nothing.
    """
    files = _choose_files(platform, known, chosen.version)
    for shard in known.shards:
        labels = _read_labels(platform, files.get(shard.id))
        if (chosen.relations and not labels) or (chosen.version is not None and not labels):
            continue
        rows = read_rows(platform.store, platform.settings.cache_dir, shard, pictures=with_pictures)
        for some in in_parts((row for row in rows if _is_chosen(row, labels.get(row["id"], {}), chosen)), TOGETHER):
            with platform.catalog.session() as session:
                human = read_human(session, known.dataset.id, {row["id"] for row in some})
            for row in some:
                said = human.get(row["id"])
                if said is not None or not chosen.human_only:
                    yield row, labels.get(row["id"], {}), said


def iterate_rows(
    platform: Platform, known: KnownData, chosen: ExportFilter, out: Path, pictures: PictureFolder | None
) -> Iterator[Row]:
    """Rows of EXPORT_SCHEMA. pictures: where they are written to; several are made at once."""

    def make(tweet: tuple[Row, Row, Settled | None]) -> Row:
        row, label, human = tweet
        path = pictures.write(row["id"], row["image"]) if pictures else None
        return _make_row(row, label, human, _relate(path, out), known.dataset.name)

    tweets = iterate_tweets(platform, known, chosen, read_settled, with_pictures=pictures is not None)
    if pictures is None:
        yield from map(make, tweets)
        return
    with open_pool() as pool:
        yield from map_in_order(pool, make, tweets)


def _relate(path: Path | None, out: Path) -> str | None:
    """A picture's place as it is written in the file: relative to it where they lie side by side."""
    if path is None:
        return None
    folder, picture = out.resolve().parent, path.resolve()
    return picture.relative_to(folder).as_posix() if picture.is_relative_to(folder) else str(picture)


def _make_row(row: Row, label: Row, human: Settled | None, picture: str | None, data: str) -> Row:
    found = human or Settled({})
    text, image = found.value(Task.TEXT), found.value(Task.IMAGE)
    return {
        **{name: row[name] for name in ("id", "text", "created_at", "lang", "image_sha256")},
        "picture": picture,
        "image_path": row["image"]["path"],
        **{name: label.get(name) for name in _OF_A_MODEL},
        "human_text_is_represented": text,
        "human_image_adds": image,
        "human_relation": relation_code(text, image) if text is not None and image is not None else None,
        "human_text_people": found.people(Task.TEXT),
        "human_image_people": found.people(Task.IMAGE),
        "human_text_random": found.labels[Task.TEXT].random if Task.TEXT in found.labels else None,
        "human_image_random": found.labels[Task.IMAGE].random if Task.IMAGE in found.labels else None,
        "data": data,
    }


_OF_A_MODEL = EXPORT_SCHEMA.names[EXPORT_SCHEMA.names.index("text_is_represented") : 15]


def _choose_files(platform: Platform, known: KnownData, version: tuple[str, str] | None) -> dict[int, LabelFile]:
    """Shard id -> its label file of a pair, by default the newest."""
    query = select(LabelFile).join(Shard, Shard.id == LabelFile.shard_id).where(Shard.dataset_id == known.dataset.id)
    with platform.catalog.session() as session:
        files = [*session.scalars(query.order_by(LabelFile.scored_at, LabelFile.id))]
    pairs = dict.fromkeys((file.text_version, file.image_version) for file in files)
    if version is not None and version not in pairs:
        there = "; ".join(",".join(pair) for pair in pairs) or "none: run itrp score"
        raise NotFoundError(
            f"the pair {','.join(version)} has labelled nothing of {known.dataset.name!r}: there are {there}"
        )
    chosen = [file for file in files if version in (None, (file.text_version, file.image_version))]
    return {file.shard_id: file for file in chosen}


def _read_labels(platform: Platform, file: LabelFile | None) -> dict[str, Row]:
    """Tweet id -> the model's label, or why it has none."""
    if file is None:
        return {}
    table = decode_labels(platform.store.get(file.key))
    labels: dict[str, Row] = {row["id"]: row for row in table.to_pylist()}
    versions = {"text_version": file.text_version, "image_version": file.image_version}
    for each in read_set_aside_rows(table):
        labels[each.tweet_id] = {**versions, "without_label": f"{each.code}: {each.reason}"}
    return labels


def _is_chosen(row: Row, label: Row, chosen: ExportFilter) -> bool:
    if chosen.since is not None and (row["created_at"] is None or row["created_at"] < chosen.since):
        return False
    return not chosen.relations or label.get("relation") in chosen.relations
