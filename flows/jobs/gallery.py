"""An image of a few labelled tweets, small enough to lie in Prefect's database."""

import base64
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from matplotlib.figure import Figure
from PIL import Image

from infra.catalog.tables import LabelFile, Shard
from infra.object_store.objects import ObjectStore
from itrp.data.images import decode_image
from itrp.data.inputs import read_ids
from itrp.labels import RELATIONS
from serving.files import local_shards
from serving.labels import decode_labels

PER_RELATION = 2
COLUMNS = 4
IMAGE_PIXELS = 240
TEXT_CHARACTERS = 90
SHARDS_LOOKED_AT = 3


@dataclass(frozen=True)
class LabelledTweet:
    """One tweet to be shown."""

    text: str
    relation: str
    image: Image.Image


def pick_tweets(store: ObjectStore, cache: Path, labelled: Sequence[tuple[Shard, LabelFile]]) -> list[LabelledTweet]:
    """The first tweets of each relation in the first shards, at most two each, in the order of the relations."""
    found: dict[str, list[LabelledTweet]] = {code: [] for code in RELATIONS}
    for shard, label_file in labelled[:SHARDS_LOOKED_AT]:
        labels = decode_labels(store.get(label_file.key))
        relations = labels.column("relation").to_pylist()
        wanted = _wanted_rows(relations, found)
        if not wanted:
            continue
        file = local_shards(store, [shard], cache)[0]
        codes = {labels.column("id")[number].as_py(): relations[number] for number in wanted}
        # a label file may have fewer rows than its shard
        places = [row for row, tweet in enumerate(read_ids(file)) if tweet in codes]
        rows = pq.read_table(file.path, columns=["id", "text", "image"]).take(places).to_pylist()
        for row in rows:
            code = codes[row["id"]]
            found[code].append(LabelledTweet(row["text"], code, decode_image(row["image"]["bytes"])))
    return [tweet for tweets in found.values() for tweet in tweets]


def draw_gallery(tweets: Sequence[LabelledTweet]) -> str:
    """The image as a data URL: strangers' images are neither published nor fetched from anywhere."""
    rows = -(-len(tweets) // COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 3.4 * rows), dpi=60, layout="constrained")
    for place, tweet in enumerate(tweets, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        image = tweet.image.copy()
        image.thumbnail((IMAGE_PIXELS, IMAGE_PIXELS))
        axes.imshow(image)
        axes.set_axis_off()
        axes.set_title(
            f"{tweet.relation}: {RELATIONS[tweet.relation]}\n{_shorten(tweet.text)}", fontsize=9, parse_math=False
        )
    output = io.BytesIO()
    figure.savefig(output, format="jpg", pil_kwargs={"quality": 70})
    return f"data:image/jpeg;base64,{base64.b64encode(output.getvalue()).decode()}"


def _wanted_rows(relations: Sequence[str], found: dict[str, list[LabelledTweet]]) -> list[int]:
    room = {code: PER_RELATION - len(tweets) for code, tweets in found.items()}
    wanted = []
    for row, code in enumerate(relations):
        if room[code] > 0:
            room[code] -= 1
            wanted.append(row)
    return wanted


def _shorten(text: str) -> str:
    # the plot's font has no emoji, and warns of each
    plain = "".join(character if ord(character) < 0x2000 else " " for character in text)
    return "\n".join(textwrap.wrap(textwrap.shorten(plain, TEXT_CHARACTERS, placeholder=" …"), 34)) or "(no letters)"
