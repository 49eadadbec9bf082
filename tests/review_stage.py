"""A work folder with synthetic tweets and labels by two pairs of made-up models: what tests and screenshots of the page stand on.

Tweets are drawn and ingested as real ones are. Their labels are written as scoring writes them, by "models" that say the truth
with a probability each, because training some would take minutes.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from flows.jobs.ingestion import ingest_landing
from flows.platform import Platform, open_platform
from infra.catalog.queries import list_shards, record_label_file
from infra.settings import load_settings
from itrp.data.inputs import ShardFile, read_ids
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import write_landing_layout
from serving.files import local_shards
from serving.labels import build_labels, count_relations, encode_labels, label_key
from serving.review.tweet_index import update_index
from tests.conftest import drop_in_landing
from tests.poison import store_shard

Truth = dict[str, tuple[int, int]]
"""Tweet id -> (text_is_represented, image_adds)."""
OLDER, NEWER = ("1", "1"), ("3", "2")
"""Versions (text, image) of the two pairs."""
HOSTILE_ID = "hostile-1"
HOSTILE_TEXT = (
    "<script>document.title='taken'</script><img src=x onerror=alert(1)> \u202eesrever\u202c "
    + "Z\u0335\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308algo \x07 \u2066left open "
    + "word " * 5_000
)[:25_000]
"""A script, a text that turns the direction of writing and does not turn it back, a tower of marks, a control character."""
NO_PICTURE_ID = "no-picture-1"


@dataclass(frozen=True)
class Stage:
    """A work folder ready to be reviewed."""

    platform: Platform
    truth: Truth


def build_stage(
    folder: Path, tweets: int = 60, seed: int = 3, *, right: float = 0.85, catalog_url: str | None = None
) -> Stage:
    """Tweets ingested, labelled by two pairs of models and indexed. right: how often the newer models say the truth."""
    drawn = write_landing_layout(folder / "drawn", tweets, seed)
    platform = open_platform(load_settings(work_dir=folder / "work", device="cpu", catalog_url=catalog_url))
    drop_in_landing(platform, drawn)
    ingest_landing(platform.store, platform.catalog, shard_size=max(tweets // 2, 1))
    truth = read_truth(drawn / "truth.csv")
    write_labels(platform, OLDER, truth, right=0.7, seed=seed + 1)
    write_labels(platform, NEWER, truth, right=right, seed=seed + 2)
    update_index(platform.catalog, platform.store)
    return Stage(platform, truth)


def read_truth(file: Path) -> Truth:
    """What the drawn tweets are."""
    with file.open(newline="") as lines:
        rows = [*csv.DictReader(lines)]
    return {row["id"]: (int(row["text_is_represented"]), int(row["image_adds"])) for row in rows}


def write_labels(
    platform: Platform, versions: tuple[str, str], truth: Mapping[str, tuple[int, int]], *, right: float, seed: int
) -> None:
    """Label files and ledger of the landing zone by models that say the truth with the probability `right`."""
    with platform.catalog.session() as session:
        shards = list_shards(session, "landing")
    for shard, file in zip(shards, local_shards(platform.store, shards, platform.settings.cache_dir), strict=True):
        ids = read_ids(file)
        text, image = (_predict(ids, truth, task, right, seed) for task in (0, 1))
        table = build_labels(
            ids, text, image, shard=shard.hash, text_version=versions[0], image_version=versions[1]
        )  # fmt: skip
        data, key = encode_labels(table), label_key(shard.hash, *versions)
        platform.store.put(key, data)
        with platform.catalog.session() as session:
            record_label_file(
                session,
                shard_id=shard.id,
                text_version=versions[0],
                image_version=versions[1],
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                pairs=len(ids),
                counts=count_relations(table),
            )


def _predict(
    ids: Sequence[str], truth: Mapping[str, tuple[int, int]], task: int, right: float, seed: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """[n, 2] class probabilities: sure ones are right more often than unsure ones."""
    rng = np.random.default_rng([seed, task])
    certainty = rng.uniform(0.5, 1.0, len(ids))
    hits = rng.random(len(ids)) < np.clip(certainty + right - 0.75, 0, 1)
    labels = np.array([truth.get(tweet, (0, 0))[task] for tweet in ids])
    said = np.where(hits, labels, 1 - labels)
    yes = np.where(said == 1, certainty, 1 - certainty)
    return np.stack([1 - yes, yes], axis=1)


def add_hostile_tweets(platform: Platform) -> None:
    """A tweet that would harm whoever shows it as it is, with a picture of 20 MiB, and one whose picture does not decode."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    pairs = [
        Pair(HOSTILE_ID, HOSTILE_TEXT, draw_large_picture(), "large.png", moment, "en"),
        Pair(
            NO_PICTURE_ID,
            "A tweet whose picture is a web page.",
            b"<!doctype html><script>1</script>",
            "p.jpg",
            moment,
            "en",
        ),
    ]
    store_shard(platform, pairs)
    update_index(platform.catalog, platform.store)


@cache
def draw_large_picture() -> bytes:
    """A PNG of noise, just under 20 MiB."""
    noise = np.random.default_rng(1).integers(0, 256, (2_600, 2_600, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).save(sink, "PNG", compress_level=0)
    return sink.getvalue()


def shard_files(platform: Platform) -> list[ShardFile]:
    """The landing zone's shards as files."""
    with platform.catalog.session() as session:
        shards = list_shards(session, "landing")
    return local_shards(platform.store, shards, platform.settings.cache_dir)
