"""One run of Algorithm 1 as two implementations can tell it: what both are given, what is kept of each, and our side."""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from itrp.clustering.pseudo_labels import assign_clusters
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile, iter_pixels
from itrp.data.pairs import Candidate, Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.data.validation import check_candidate
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shard
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.training.checkpoints import load_tuned
from itrp.training.trainer import Trainer
from itrp.training.training_set import prepare_training_set
from tests.benchmarks.scaled_run import read_status

CPU = torch.device("cpu")
PICTURES_COMPARED = 64
"""Pictures of the first pairs whose pixels are kept, as the image encoder's first layer gets them."""


@dataclass(frozen=True)
class Switches:
    """Causes of a difference between the two implementations, switched off where True."""

    same_draws: bool = False
    """The reference takes our head and our sample of every round instead of its own draws."""
    no_dropout: bool = False
    """Neither encoder drops anything while it is trained (dropout, stochastic depth)."""
    whole_batches: bool = False
    """The reference's encoders get a batch at once instead of four pairs at a time, which batch norm notices."""
    nudged: bool = False
    """No cause but a control: our encoders begin one rounding unit beside their weights."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """m labelled pairs of captions_match's layout (pairs.csv: image, text, text_is_represented)."""

    folder: Path
    images: tuple[str, ...]
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    """[m] 1 where the text is the picture's own caption."""

    def dev_rows(self) -> NDArray[np.bool_]:
        """[m] True for the pairs of every other picture: a picture's pairs are all dev or all test."""
        places = {image: place for place, image in enumerate(dict.fromkeys(self.images))}
        return np.array([places[image] % 2 == 0 for image in self.images])


@dataclass(frozen=True, eq=False)
class Trace:
    """What one run left behind: n pairs a subset, m labelled pairs."""

    pseudo_labels: list[NDArray[np.int64]]
    """By round, [n] clusters before the pass."""
    answers: list[NDArray[np.int64]]
    """By round, [m] the model's clusters of the labelled pairs after the pass."""
    losses: list[float]
    seconds: float
    """Of embedding, clustering, sampling and training in all rounds, first reading of the pictures included."""
    peak_mib: float
    """Peak memory of the process at the end of the training, its libraries included."""
    features: NDArray[np.float32]
    """[n, d] fused vectors of the first subset before any training."""
    images: NDArray[np.float32]
    """[PICTURES_COMPARED, 3, size, size] normalised pixels."""
    f1s: list[float] = field(default_factory=list)
    """By round, the reference's own F1 on all labelled pairs; empty on our side."""


def read_labelled(folder: Path) -> Labelled:
    """The pairs of a folder with pairs.csv."""
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Labelled(
        folder=folder,
        images=tuple(row["image"] for row in rows),
        texts=tuple(row["text"] for row in rows),
        labels=np.array([int(row["text_is_represented"]) for row in rows]),
    )


def write_shard(folder: Path, pairs: Sequence[Pair]) -> ShardFile:
    """A shard of pairs as a file."""
    data = encode_shard(pairs)
    path = folder / f"{shard_hash(data)}.parquet"
    path.write_bytes(data)
    return ShardFile(path.stem, path, len(pairs))


def write_tweets(folder: Path, source: Path) -> tuple[ShardFile, list[int]]:
    """The accepted tweets of Twitter100k's layout, and their 0-based line numbers."""
    tweets = Twitter100kFolder(source)
    candidates = [record for record in tweets.candidates() if isinstance(record, Candidate)]
    checked = [check_candidate(candidate, tweets.read_image) for candidate in candidates]
    pairs = [pair for pair in checked if isinstance(pair, Pair)]
    return write_shard(folder, pairs), [pair.line - 1 for pair in pairs]


def write_labelled(folder: Path, labelled: Labelled) -> ShardFile:
    """The labelled pairs, numbered, as a shard."""
    named = enumerate(zip(labelled.images, labelled.texts, strict=True))
    pairs = [Pair(str(row), text, (labelled.folder / name).read_bytes(), name) for row, (name, text) in named]
    return write_shard(folder, pairs)


def silence_dropout(module: nn.Module) -> None:
    """No dropout, and no stochastic depth in EfficientNet-Lite, from now on."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if hasattr(part, "_global_params"):
            vars(part)["_global_params"] = vars(part)["_global_params"]._replace(drop_connect_rate=0.0)


@torch.no_grad()
def nudge(module: nn.Module) -> None:
    """Move every weight to the next larger of its magnitude: as little as float32 can tell."""
    for parameter in module.parameters():
        parameter.copy_(torch.nextafter(parameter, parameter.sign() * torch.inf).where(parameter != 0, parameter))


def peak_memory() -> float:
    """Largest resident size of this process so far, in MiB; getrusage would begin with that of the one that started it."""
    return read_status("VmHWM")


def run_itrp(config: ExperimentConfig, tweets: ShardFile, labelled: ShardFile, switches: Switches, work: Path) -> Trace:
    """Our Trainer; pseudo-labels and answers are read off its checkpoints once the clock has stopped."""
    model = _build_model(config, switches)
    cache = EmbeddingCache(work / "cache", CPU, config.embed_batch_size)
    trainer = Trainer(model, [tweets], cache=cache, checkpoints=work / "rounds")
    start = time.perf_counter()
    results = list(trainer.run())
    seconds, peak = time.perf_counter() - start, peak_memory()

    model = _build_model(config, switches)
    data = prepare_training_set(model, [tweets], cache)
    features: list[NDArray[np.float32]] = []
    pseudo_labels, answers = [], []
    for number, rows in enumerate(trainer.subsets, start=1):
        features.append(model.fuse_vectors(data.embed_text(rows), data.embed_image(rows)))
        clustering = config.clustering
        pseudo_labels.append(
            assign_clusters(features[-1], clustering.method, config.k, config.seed, n_init=clustering.n_init)
        )
        model.load_tuned_state(load_tuned(work / "rounds", number))
        answers.append(predict_shard(model, labelled, cache).argmax(axis=1))
    counted = [tuple(np.bincount(labels, minlength=config.k)) for labels in pseudo_labels]
    assert counted == [result.cluster_sizes for result in results], (
        "the checkpoints tell of other clusters than the run"
    )
    pixels = torch.from_numpy(next(iter_pixels(tweets, config.image.pixels))[:PICTURES_COMPARED])
    images = (pixels.permute(0, 3, 1, 2).float() - model.image.mean) / model.image.std
    losses = [result.loss for result in results]
    return Trace(pseudo_labels, answers, losses, seconds, peak, features[0], images.numpy())


def _build_model(config: ExperimentConfig, switches: Switches) -> ItrpModel:
    model = build_model(config)
    if switches.no_dropout:
        silence_dropout(model)
    if switches.nudged:
        for encoder in (model.text, model.image):
            nudge(encoder)
    return model
