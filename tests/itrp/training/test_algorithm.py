"""The rounds against a plain loop of the same algorithm, and on pairs that anybody could tell apart."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.optim import Adam
from transformers import AutoTokenizer

from itrp.clustering.sampling import balance_indices
from itrp.config import ExperimentConfig, override
from itrp.data.images import load_pixels
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import SyntheticTweet
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shards
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.pixel_format import PixelFormat
from itrp.training import training_set
from itrp.training.trainer import Trainer

CPU = torch.device("cpu")
Start = Callable[..., Trainer]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the file: the frozen sides are embedded once."""
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture
def start(shards: Sequence[ShardFile], vectors: Path, tmp_path: Path) -> Start:
    """start(config): a trainer with a fresh model; its checkpoints lie in tmp_path/name."""

    def make(config: ExperimentConfig, name: str = "run", model: ItrpModel | None = None) -> Trainer:
        return Trainer(
            model or build_model(config), shards, cache=EmbeddingCache(vectors, CPU), checkpoints=tmp_path / name
        )

    return make


def tuned(folder: Path, number: int) -> dict[str, Tensor]:
    return load_file(folder / f"round-{number:04d}" / "tuned.safetensors")


def noise_of(state: Iterable[str]) -> set[str]:
    """Attention's key biases: softmax takes them away again, so their gradients are rounding errors, which Adam enlarges."""
    return {name for name in state if name.endswith("key.bias")}


class ByHand:
    """Algorithm 1 of Sun et al. 2023 as one plain loop over all pairs in memory: what the trainer must equal."""

    def __init__(self, config: ExperimentConfig, texts: Sequence[str], pixels: np.ndarray) -> None:
        self.config = config
        self.model = build_model(config).requires_grad_(True)
        self.texts = texts
        self.pixels = torch.from_numpy(pixels)
        self.source = AutoTokenizer.from_pretrained(config.text.name)
        self.encoders = [
            (encoder, Adam(encoder.parameters(), lr=encoder.config.optimizer.learning_rate, fused=True))
            for encoder in (self.model.text, self.model.image)
            if encoder.config.finetune
        ]
        self.labels: list[np.ndarray] = []

    def embed_texts(self, rows: Sequence[int]) -> Tensor:
        inputs = self.source([self.texts[row] for row in rows], padding=True, return_tensors="pt")
        states = self.model.text.transformer(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state
        lengths = inputs["attention_mask"].sum(dim=1)
        return torch.stack([state[:length].mean(dim=0) for state, length in zip(states, lengths, strict=True)])

    def embed(self, rows: Sequence[int]) -> Tensor:
        """[b, d]: text and picture side by side, each in the mode its encoder is in."""
        sides = []
        for encoder, vectors in ((self.model.text, self.embed_texts), (self.model.image, self.embed_images)):
            with torch.set_grad_enabled(encoder.config.finetune and torch.is_grad_enabled()):
                sides.append(vectors(rows))
        return torch.cat(sides, dim=1)

    def embed_images(self, rows: Sequence[int]) -> Tensor:
        return self.model.image(self.pixels[list(rows)])

    def run_round(self, number: int, rows: Sequence[int]) -> float:
        config, model = self.config, self.model.eval()
        with torch.no_grad():
            features = self.embed(rows).numpy()
        labels = KMeans(config.k, random_state=config.seed, n_init=config.clustering.n_init).fit(features)
        self.labels.append(labels.predict(features))
        seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
        sample = np.random.default_rng(seed).permutation(balance_indices(self.labels[-1], config.sampling, seed))
        model.reset_head(seed)
        steps = [*(optimizer for _, optimizer in self.encoders), self.fresh_head_optimizer()]
        model.head.train()
        for encoder, _ in self.encoders:
            encoder.train()
        losses = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for begin in range(0, len(sample), config.batch_size):
                batch = sample[begin : begin + config.batch_size]
                logits = model.head(self.embed([rows[place] for place in batch]))
                loss = nn.functional.cross_entropy(logits, torch.from_numpy(self.labels[-1][batch]).long())
                for step in steps:
                    step.zero_grad()
                loss.backward()
                for step in steps:
                    step.step()
                losses += [loss.item()] * len(batch)
        return float(np.mean(losses))

    def fresh_head_optimizer(self) -> Adam:
        return Adam(self.model.head.parameters(), lr=self.config.head_optimizer.learning_rate, fused=True)


class WithOldHeadOptimizer(ByHand):
    """The fault the method warns of: the head's optimizer goes on from round to round."""

    def fresh_head_optimizer(self) -> Adam:
        if not hasattr(self, "head_optimizer"):
            self.head_optimizer = super().fresh_head_optimizer()
        return self.head_optimizer


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [
        ("small-text", []),
        ("small-image", []),
        ("small-text", ["image.finetune=true", "sampling=combination", "seed=3"]),
        ("small-image", ["image.finetune=false", "sampling=random"]),
    ],
)
def test_training_is_algorithm_1(
    make_config: Callable[..., ExperimentConfig],
    start: Start,
    tweets: list[SyntheticTweet],
    tmp_path: Path,
    experiment: str,
    changes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pseudo-labels, sample, head, optimizers and modes: any of them astray would end in other weights."""
    monkeypatch.setattr(training_set, "TEXTS_TOGETHER", 1000)  # dropout is drawn for a whole batch, as by hand
    config = make_config(experiment, *changes)
    pixels = np.stack([load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets])
    texts = [tweet.text for tweet in tweets]
    hand, faulty = ByHand(config, texts, pixels), WithOldHeadOptimizer(config, texts, pixels)
    for number, result in enumerate(start(config).run(), start=1):
        rows = range(20 * number - 20, 20 * number)
        assert hand.run_round(number, rows) == pytest.approx(result.loss, rel=1e-4)
        faulty.run_round(number, rows)
        assert result.cluster_sizes == tuple(np.bincount(hand.labels[-1], minlength=2))
        found, expected = tuned(tmp_path / "run", number), hand.model.tuned_state()
        assert set(found) == set(expected)
        for name in set(found) - noise_of(found):
            difference = (found[name].double() - expected[name].double()).abs()
            assert (difference <= 1e-5 + 1e-4 * expected[name].abs()).all(), name
    assert (found["head.weight"] - faulty.model.head.weight).abs().max() > 1e-3  # the tolerance shows such a fault


@pytest.fixture(scope="module")
def two_kinds(write_shard: Callable[..., ShardFile], tmp_path_factory: pytest.TempPathFactory) -> ShardFile:
    """40 pairs of two kinds that nobody could mix up: red pictures with dogs, blue ones with the stock market."""
    folder = tmp_path_factory.mktemp("kinds")
    pairs = []
    for number in range(40):
        kind = number % 2
        text = (f"my dog and {number} puppies in the garden", f"shares fell by {number} per cent on wall street")[kind]
        path = folder / "picture.png"
        Image.new("RGB", (64, 64), ((200 + number, 30, 30), (20, 30, 200 + number))[kind]).save(path)
        pairs.append(Pair(str(number), text, path.read_bytes(), "picture.png"))
    return write_shard(folder, pairs)


def test_two_kinds_of_tweets_are_learned(two_kinds: ShardFile, vectors: Path, tmp_path: Path) -> None:
    """The packaged encoders, frozen: the head learns the clusters, and its loss falls on the way."""
    config = override(
        ExperimentConfig(name="kinds", task="text"),
        ["image.size=64", "subset_size=20", "sampling=random", "head_optimizer.learning_rate=1e-2", "batch_size=4"],
    )
    cache = EmbeddingCache(vectors, CPU)
    model = build_model(config)
    results = list(Trainer(model, [two_kinds], cache=cache, checkpoints=tmp_path / "run").run())
    assert [result.cluster_sizes for result in results] == [(10, 10), (10, 10)]
    assert results[1].agreement is not None
    assert results[1].agreement > 0.9  # the model of round 1 knows the clusters of round 2
    clusters = predict_shards(model, [two_kinds], cache).argmax(axis=1)
    kinds = np.arange(40) % 2
    assert max((clusters == kinds).mean(), (clusters != kinds).mean()) > 0.9

    at_once = override(config, ["batch_size=20"])  # one step: its loss is that of the untrained head
    first = next(Trainer(build_model(at_once), [two_kinds], cache=cache, checkpoints=tmp_path / "once").run())
    assert results[0].loss < 0.7 * first.loss
