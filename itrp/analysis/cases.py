"""Where model and people differ, as a page with images: the disagreement case study (Table 6 of Sun et al. 2023)."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from itrp.data.annotations import Annotations
from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile
from itrp.data.shards import iter_batches
from itrp.errors import DataError
from itrp.labels import CLASS_NAMES, UNLABELLED, Task

TEMPLATE = "cases.html.jinja"
THUMBNAIL = 360
"""Longest side of an inlined image, in pixels."""
COLUMNS = ("task", "model_says", "human_says", "row", "id", "probability", "controversial", "corrected", "place")


@dataclass(frozen=True, slots=True)
class Tweet:
    """What the page shows of a tweet."""

    id: str
    text: str
    image: bytes
    """The image's file as it is stored."""


def find_disagreements(
    probabilities: Mapping[Task, NDArray[np.floating]], annotations: Annotations, *, split: str = "test"
) -> pd.DataFrame:
    """Pairs of a split to which a task's model gives another class than the human label, the most confident first.

    probabilities: [n, 2] by class for each task, in the order of the annotations. Columns: task, model_says and
    human_says (class names), row (of the annotations), id, probability (of the model's class), controversial,
    corrected (the relabelled class), place (from 1, within task, model's and human's class). Groups come by task, then
    by the model's class, the positive one first; ties within a group in the order of the annotations.
    Raises DataError for another shape, and when the split has no labelled pair.
    """
    parts = [_compare_task(task, np.asarray(probabilities[task]), annotations, split) for task in probabilities]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def choose_examples(disagreements: pd.DataFrame, examples: int) -> pd.DataFrame:
    """The first `examples` disagreements of each group."""
    return disagreements[disagreements["place"] <= examples].reset_index(drop=True)


def read_shown_tweets(shards: Sequence[ShardFile], rows: Sequence[int]) -> dict[int, Tweet]:
    """The tweets at the given rows, counted over all shards in their order; a few hundred are in memory at a time."""
    wanted, found, start = {int(row) for row in rows}, {}, 0
    for shard in shards:
        if not wanted & set(range(start, start + shard.pairs)):
            start += shard.pairs
            continue
        for batch in iter_batches(shard.path, ["id", "text", "image"]):
            for row in sorted(wanted & set(range(start, start + len(batch)))):
                cells = batch.slice(row - start, 1).to_pylist()[0]
                found[row] = Tweet(cells["id"], cells["text"], cells["image"]["bytes"])
            start += len(batch)
    return found


def render_cases(
    disagreements: pd.DataFrame,
    tweets: Mapping[int, Tweet],
    *,
    examples: int,
    compared: Mapping[Task, int],
    heading: Mapping[str, str],
) -> str:
    """One self-contained HTML page: images are inlined as small JPEGs, and no address is ever asked.

    disagreements: all of them (`find_disagreements`); tweets: by row, those of the examples at least; compared: how many
    pairs of each task have a human label; heading: name -> value, shown under the title (models, data, commit).
    """
    shown = choose_examples(disagreements, examples)
    sections = []
    for task, pairs in compared.items():
        of_task = disagreements[disagreements["task"] == str(task)]
        groups = [
            {
                "model_says": names[1],
                "human_says": names[0],
                "count": int(((of_task["model_says"] == names[1]) & (of_task["human_says"] == names[0])).sum()),
                "cases": [
                    _show_case(case, tweets[case["row"]])
                    for case in shown[shown["task"] == str(task)].to_dict("records")
                    if case["model_says"] == names[1]
                ],
            }
            for names in (CLASS_NAMES[task], CLASS_NAMES[task][::-1])
        ]
        sections.append({"task": str(task), "pairs": pairs, "differ": len(of_task), "groups": groups})
    return render_page(TEMPLATE, heading=heading, sections=sections)


def render_page(template: str, **values: object) -> str:
    """A template of this folder, filled in; whatever people have written is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(**values)


def count_compared(annotations: Annotations, tasks: Sequence[Task], *, split: str = "test") -> dict[Task, int]:
    """How many pairs of a split have a human label, by task."""
    return {
        task: int(((annotations.split == split) & (annotations.labels(task) != UNLABELLED)).sum()) for task in tasks
    }


def make_thumbnail(data: bytes, longest: int = THUMBNAIL) -> bytes:
    """The image as a JPEG whose longer side has at most so many pixels. Raises RejectedError like `decode_image`."""
    image = decode_image(data)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=82, optimize=True)
    return sink.getvalue()


def _compare_task(
    task: Task, probabilities: NDArray[np.floating], annotations: Annotations, split: str
) -> pd.DataFrame:
    if probabilities.shape != (len(annotations), 2):
        raise DataError(
            f"expected class probabilities of the shape [{len(annotations)}, 2] for the {task} task, "
            f"found {list(probabilities.shape)}: predict the same data set"
        )
    labels, corrected = annotations.labels(task), annotations.labels(task, corrected=True)
    labelled = (annotations.split == split) & (labels != UNLABELLED)
    if not labelled.any():
        raise DataError(
            f"the {split} split has no labelled pair for the {task} task: ingest a labelled data set with such a split"
        )
    predicted = probabilities.argmax(axis=1)
    rows = np.flatnonzero(labelled & (predicted != labels))
    confidence = probabilities.max(axis=1)[rows]
    # the positive class first, then the most confident; lexsort sorts by its last key first and is stable
    order = np.lexsort((-confidence, -predicted[rows]))
    rows, confidence = rows[order], confidence[order]
    names = np.array(CLASS_NAMES[task])
    table = pd.DataFrame(
        {
            "task": str(task),
            "model_says": names[predicted[rows]],
            "human_says": names[labels[rows]],
            "row": rows,
            "id": annotations.ids[rows],
            "probability": confidence,
            "controversial": annotations.controversial[rows],
            "corrected": names[corrected[rows]],
        }
    )
    table["place"] = table.groupby("model_says").cumcount() + 1
    return table


def _show_case(case: Mapping[str, object], tweet: Tweet) -> dict[str, object]:
    """A case as the template reads it."""
    return {
        **case,
        "text": tweet.text,
        "picture": b64encode(make_thumbnail(tweet.image)).decode("ascii"),
        "relabelled": case["corrected"] if case["corrected"] != case["human_says"] else "",
    }
