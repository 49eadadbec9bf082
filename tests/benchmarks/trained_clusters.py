"""Both task models trained on synthetic tweets, and the clusters every checkpoint gives to labelled ones; kept on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.config import override
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.datasets.synthetic import SyntheticTweet, generate_tweets
from itrp.experiments import small_image, small_text
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shards
from itrp.labels import Task
from itrp.models.image_encoder import load_image_encoder
from itrp.models.itrp_model import build_model
from itrp.models.text_encoder import load_text_encoder
from itrp.training.checkpoints import load_tuned
from itrp.training.trainer import Trainer

PAIRS = 600
"""Unlabelled pairs to train on, and labelled ones to name clusters with and to test on."""
UNLABELLED_SEED, LABELLED_SEED, JOINT_SEED = 1, 2, 3
SETTINGS = ("subset_size=200", "epochs=2")
"""Six rounds, so that there is a checkpoint to choose."""
SHARD_PAIRS = 300
SMALL = {Task.TEXT: small_text, Task.IMAGE: small_image}


@dataclass(frozen=True, eq=False)
class LabelledTweets:
    """Synthetic tweets in shards, with their truth: text, image [n] int64 in {0, 1}."""

    shards: list[ShardFile]
    text: NDArray[np.int64]
    image: NDArray[np.int64]

    def labels(self, task: Task) -> NDArray[np.int64]:
        """Class indices of a task, [n]."""
        return {Task.TEXT: self.text, Task.IMAGE: self.image, Task.IMAGE_TEXT: 2 * self.text + self.image}[task]


def draw_labelled(work: Path, seed: int, count: int = PAIRS) -> LabelledTweets:
    """The first tweets of a seed, drawn once and kept as shards in `work`."""
    folder = work / f"tweets-{seed}-{count}"
    truth = folder / "truth.npy"
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        tweets = list(generate_tweets(count, seed))
        _write_shards(folder, tweets)
        np.save(truth, [(tweet.text_is_represented, tweet.image_adds) for tweet in tweets])
    labels = np.load(truth).astype(np.int64)
    names = sorted(folder.glob("*.parquet"))
    sizes = [min(SHARD_PAIRS, count - start) for start in range(0, count, SHARD_PAIRS)]
    shards = [ShardFile(path.stem[6:], path, size) for path, size in zip(names, sizes, strict=True)]
    return LabelledTweets(shards, labels[:, 0], labels[:, 1])


def _write_shards(folder: Path, tweets: Sequence[SyntheticTweet]) -> None:
    for number, start in enumerate(range(0, len(tweets), SHARD_PAIRS)):
        part = tweets[start : start + SHARD_PAIRS]
        data = encode_shard([Pair(tweet.id, tweet.text, tweet.image, f"{tweet.id}{tweet.suffix}") for tweet in part])
        (folder / f"{number:05d}-{shard_hash(data)}.parquet").write_bytes(data)


def train_clusters(work: Path, task: Task, seed: int) -> NDArray[np.int64]:
    """Clusters [rounds, n] that a small model's checkpoints give to the labelled tweets; trained once per seed.

    Kept by task, seed and SETTINGS alone: after a change of the method, give another `work`.
    """
    kept = work / f"clusters-{task}-{seed}-{'-'.join(SETTINGS)}.npy"
    if not kept.exists():
        np.save(kept, _train_and_ask(work, task, seed))
    return np.load(kept).astype(np.int64)


def _train_and_ask(work: Path, task: Task, seed: int) -> NDArray[np.int64]:
    config = override(SMALL[task](), [*SETTINGS, f"seed={seed}"])
    cache = EmbeddingCache(work / "embeddings", torch.device("cpu"))
    model = build_model(config)
    labelled = draw_labelled(work, LABELLED_SEED)
    with TemporaryDirectory(dir=work) as checkpoints:
        training = draw_labelled(work, UNLABELLED_SEED).shards
        trainer = Trainer(model, training, cache=cache, checkpoints=Path(checkpoints))
        answers = []
        for number in [result.round for result in trainer.run()]:
            model.load_tuned_state(load_tuned(Path(checkpoints), number))
            answers.append(predict_shards(model, labelled.shards, cache).argmax(axis=1))
    return np.stack(answers)


def frozen_vectors(work: Path, shards: Sequence[ShardFile]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Text vectors [n, d_text] and picture vectors [n, d_image] of the small experiments' encoders, untrained; cached."""
    cache = EmbeddingCache(work / "embeddings", torch.device("cpu"))
    config = small_text()
    text = cache.text_vectors(load_text_encoder(config.text), shards)
    image = cache.image_vectors(load_image_encoder(config.image), shards)
    return np.concatenate(list(text)), np.concatenate(list(image))
