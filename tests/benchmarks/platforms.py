"""Platforms to measure: a work folder whose champions are small models, and a landing zone of as many pairs as wanted."""

import io
import itertools
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from flows.ingestion.pending import SHARD_PAIRS
from flows.platform import Platform, open_platform
from infra.settings import Settings
from itrp.config import ExperimentConfig, override
from itrp.experiments import small_image, small_text
from itrp.inputs import ShardFile
from itrp.labels import Task
from itrp.model import build_model
from itrp.pairs import Pair
from serving.registration import register_model
from serving.registry import CHAMPION, connect_mlflow
from tests.benchmarks.sides import write_shard
from tests.itrp.conftest import IMAGE_NAME, SPECIAL_TOKENS, save_bert, save_wordpiece

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


def tiny_config(folder: Path, task: Task, *assignments: str) -> ExperimentConfig:
    """The task's small experiment with encoders of some thousand weights: what is measured is everything but them.

    The encoders are written into `folder` at the first call.
    """
    text, image = folder / "tiny-text", folder / "tiny-image.safetensors"
    if not text.exists():
        vocabulary = {word: number for number, word in enumerate((*SPECIAL_TOKENS, *WORDS, "#"))}
        save_wordpiece(text, vocabulary)
        save_bert(text, len(vocabulary), width=32, layers=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_file(torchvision.models.get_model(IMAGE_NAME).state_dict(), image)
    parts = [f"text.name={text}", f"image.name={IMAGE_NAME}", f"image.weights={image}", "image.size=64"]
    return override(small_text() if task is Task.TEXT else small_image(), [*parts, *assignments])


def make_platform(work: Path) -> Platform:
    """A new platform in a folder; tiny models that nobody has trained are its champions, with class names."""
    platform = open_platform(Settings(work_dir=work, device="cpu"))
    client = connect_mlflow(platform.registry.uri)
    experiment = client.create_experiment("benchmark", artifact_location=(work / "mlflow-artifacts").as_uri())
    for task in (Task.TEXT, Task.IMAGE):
        with tempfile.TemporaryDirectory() as folder:
            model = build_model(tiny_config(Path(folder), task))
            model.save(Path(folder) / "model", mapping=(0, 1), extra={"round": 1})
            run_id = client.create_run(experiment).info.run_id
            version = register_model(platform.registry, Path(folder) / "model", run_id, task, tags={})
        client.set_terminated(run_id)
        platform.registry.set_alias(version, CHAMPION)
    return platform


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
    return [write_shard(folder, list(itertools.islice(made, SHARD_PAIRS))) for _ in range(0, pairs, SHARD_PAIRS)]


def make_pairs(count: int, first: int = 0) -> Iterator[Pair]:
    """Pairs number `first` on: a dozen words, a small picture, no two files alike."""
    drawings = list(draw_pictures(PICTURES))
    rng = np.random.default_rng(first)
    for number in range(first, first + count):
        text = " ".join(rng.choice(WORDS, rng.integers(5, 20))) + f" #{number}"
        picture = add_comment(drawings[number % PICTURES], str(number))
        yield Pair(str(number), text, picture, f"{number}.jpg")


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
