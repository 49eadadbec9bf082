"""So many pairs that no two files are alike, quickly: a landing zone as a collector leaves it, or shards."""

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from flows.jobs.ingestion.pending import SHARD_PAIRS
from flows.platform import Platform
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from tests.itrp.conftest import write_pairs

BATCH = 1_000
"""Pairs a landing batch, each in a folder of its own."""
PICTURES = 200
"""Different drawings; what makes each file different is a comment in it."""
SIZE = (160, 120)
WORDS = re.findall(
    r"\w+",
    "sun rain street coffee dog cat train night morning game goal team city river bridge garden music stage crowd light "
    "bread cake window door snow beach wave car bike road market flower tree bird sky cloud smile friend party dance",
)


def fill_landing(platform: Platform, pairs: int, *, first: int = 0) -> None:
    """Put pairs number `first` on into the landing zone of a store in a folder, as a collector would: pictures first."""
    made = make_pairs(pairs, first)
    for start in range(first, first + pairs, BATCH):
        # not by `put`, which syncs every file: this is not what is measured
        root = platform.settings.work_dir / "objects" / f"landing/{start // BATCH:08d}"
        root.mkdir(parents=True)
        lines = []
        for pair in itertools.islice(made, BATCH):
            (root / pair.image_path).write_bytes(pair.image)
            lines.append(json.dumps({"id": pair.id, "text": pair.text, "image": pair.image_path}))
        (root / "batch.jsonl").write_text("\n".join(lines) + "\n")


def write_shards(folder: Path, pairs: int) -> list[ShardFile]:
    """So many pairs as shard files."""
    folder.mkdir(parents=True)
    made = make_pairs(pairs)
    return [write_pairs(folder, list(itertools.islice(made, SHARD_PAIRS))) for _ in range(0, pairs, SHARD_PAIRS)]


def make_pairs(count: int, first: int = 0) -> Iterator[Pair]:
    """Pairs number `first` on: a dozen words, a small picture, no two files alike."""
    drawings = list(draw_pictures(PICTURES))
    rng = np.random.default_rng(first)
    for number in range(first, first + count):
        text = " ".join(rng.choice(WORDS, rng.integers(5, 20))) + f" #{number}"
        image = add_comment(drawings[number % PICTURES], str(number))
        yield Pair(str(number), text, image, f"{number}.jpg")


def draw_pictures(count: int) -> Iterator[bytes]:
    """So many different small JPEGs: blurred noise, which costs a decoder what a photograph of the size does."""
    rng = np.random.default_rng(0)
    for _ in itertools.repeat(None, count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize(SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        yield buffer.getvalue()


def add_comment(jpeg: bytes, text: str) -> bytes:
    """The same picture in another file: a comment segment (ITU T.81, B.2.4.5) after the first marker."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
