"""Tweets as tasks of Label Studio, with the models' labels as predictions and people's as annotations."""

import json
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from flows.jobs.datasets import KnownData
from flows.jobs.review_files.export_rows import ExportFilter, Row, iterate_tweets
from flows.jobs.review_files.human_labels import Settled, read_said, read_settled
from flows.jobs.review_files.pictures import PictureFolder
from flows.platform import Platform
from itrp.analysis.cases import make_thumbnail
from itrp.data.rejections import RejectedError
from itrp.datasets.label_files import HumanLabel
from itrp.datasets.label_files.label_studio import LABELLING_CONFIG, build_task
from itrp.files import write_atomically
from itrp.labels import Task

LONGEST = 480
"""Longest side of a picture that is written into the file, in pixels."""
LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio serves files below its LOCAL_FILES_DOCUMENT_ROOT."""


@dataclass(frozen=True)
class _Said:
    """What people say of a tweet."""

    labels: list[HumanLabel]
    settled: Settled


def iterate_tasks(
    platform: Platform, known: KnownData, chosen: ExportFilter, out: Path, pictures: PictureFolder | None
) -> Iterator[tuple[Row, dict[str, Any]]]:
    """(what the report counts, Label Studio's task) of each tweet.

    pictures: where they are written to, and served from by Label Studio; without, they stand in the file, small.
    """
    for row, label, said in iterate_tweets(platform, known, chosen, _read_people, with_pictures=True):
        found = said or _Said([], Settled({}))
        path = pictures.write(row["id"], row["image"]) if pictures else None
        image = _link(path, out) if pictures else _inline(row["image"]["bytes"])
        data = {
            "tweet_id": row["id"],
            "text": row["text"],
            "image": image,
            "created_at": row["created_at"] and row["created_at"].isoformat(),
            "lang": row["lang"],
            "data": known.dataset.name,
        }
        model = f"text-{label['text_version']}_image-{label['image_version']}" if label else ""
        yield _make_row(label, found.settled, path), build_task(data, found.labels, _read_probabilities(label), model)


def write_tasks(path: Path, tasks: Iterable[dict[str, Any]]) -> None:
    """Write a JSON array task by task."""
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, task in enumerate(tasks):
            file.write((",\n" if number else "\n") + json.dumps(task, ensure_ascii=False))
        file.write("\n]\n")


def write_config(out: Path) -> Path:
    """Write the labelling interface beside the tasks."""
    path = out.with_suffix(".config.xml")
    with write_atomically(path) as draft:
        draft.write_text(LABELLING_CONFIG, encoding="utf-8")
    return path


def _read_people(session: Session, dataset_id: int, tweet_ids: Collection[str]) -> Mapping[str, _Said]:
    settled = read_settled(session, dataset_id, tweet_ids)
    said = read_said(session, dataset_id, tweet_ids)
    return {tweet_id: _Said(labels, settled.get(tweet_id, Settled({}))) for tweet_id, labels in said.items()}


def _make_row(label: Row, settled: Settled, path: Path | None) -> Row:
    return {
        "relation": label.get("relation"),
        "human_text_is_represented": settled.value(Task.TEXT),
        "human_image_adds": settled.value(Task.IMAGE),
        "picture": path,
    }


def _read_probabilities(label: Row) -> dict[Task, float] | None:
    if label.get("relation") is None:
        return None
    return {Task.TEXT: label["text_is_represented_probability"], Task.IMAGE: label["image_adds_probability"]}


def _link(path: Path | None, out: Path) -> str:
    """The address under which Label Studio serves the file, when its document root is the export's folder."""
    if path is None:
        return ""
    folder, picture = out.resolve().parent, path.resolve()
    inside = picture.relative_to(folder) if picture.is_relative_to(folder) else picture
    return LOCAL_FILES + inside.as_posix()


def _inline(image: bytes) -> str:
    try:
        return f"data:image/jpeg;base64,{b64encode(make_thumbnail(image, LONGEST)).decode()}"
    except RejectedError:
        return ""
