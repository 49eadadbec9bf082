"""32 labelled pairs, and what every supervised network is asked: to come back from its folder, and to learn them by heart."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import nn
from transformers import AutoTokenizer, SiglipConfig, SiglipImageProcessor, SiglipModel

from itrp.baselines.config import NetworkConfig, SupervisedConfig, TwoEncodersConfig
from itrp.baselines.network import Network
from itrp.baselines.stand_ins import write_clip, write_detector, write_lxmert, write_word_vectors
from itrp.baselines.supervised_model import SupervisedModel, build_supervised_model, restore_supervised_model
from itrp.baselines.supervised_training import SupervisedTrainer
from itrp.baselines.tweet_words import split_tweet
from itrp.config import ImageEncoderConfig, OptimizerConfig, TextEncoderConfig
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import WeightsUnavailableError
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.text_encoder import find_text_weights

CPU = torch.device("cpu")
BOTH = (Task.TEXT, Task.IMAGE)
PAIRS = 32

Ask = Callable[[Network, Sequence[tuple[str, int]]], dict[Task, torch.Tensor]]
"""ask(network, [(text, picture seed), ...]): logits [b, 2] of pairs in one batch, in evaluation mode."""
MakeModel = Callable[..., SupervisedModel]
CheckOverfit = Callable[..., None]
Damage = Callable[..., Path]
Start = Callable[..., SupervisedTrainer]


@dataclass(frozen=True)
class Labelled:
    """Pairs in two shards, and their labels, all of the train split."""

    shards: list[ShardFile]
    annotations: Annotations


@pytest.fixture(scope="session")
def labelled(
    tweets: list[SyntheticTweet],
    write_shard: Callable[[Path, Sequence[Pair]], ShardFile],
    tmp_path_factory: pytest.TempPathFactory,
) -> Labelled:
    folder = tmp_path_factory.mktemp("labelled")
    chosen = tweets[:PAIRS]
    pairs = [Pair(tweet.id, tweet.text, tweet.image, f"{tweet.id}{tweet.suffix}") for tweet in chosen]
    return Labelled([write_shard(folder, pairs[:20]), write_shard(folder, pairs[20:])], true_labels(chosen, "train"))


def true_labels(tweets: Sequence[SyntheticTweet], split: str | NDArray[np.str_]) -> Annotations:
    text = np.array([tweet.text_is_represented for tweet in tweets], dtype=np.int64)
    image = np.array([tweet.image_adds for tweet in tweets], dtype=np.int64)
    return Annotations(
        ids=np.array([tweet.id for tweet in tweets]),
        split=np.broadcast_to(split, len(tweets)),
        text=text,
        image=image,
        controversial=np.zeros(len(tweets), dtype=bool),
        corrected_text=text,
        corrected_image=image,
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingCache:
    return EmbeddingCache(tmp_path_factory.mktemp("cache"), CPU)


@pytest.fixture(scope="session")
def encoders(tiny_text: Path, tiny_image: Path) -> TwoEncodersConfig:
    """BERT of width 32 and ShuffleNet."""
    return TwoEncodersConfig(
        text=TextEncoderConfig(name=str(tiny_text), finetune=True),
        image=ImageEncoderConfig(name="shufflenet_v2_x0_5", weights=str(tiny_image), size=64, finetune=True),
    )


@pytest.fixture(scope="session")
def annotations(tweets: list[SyntheticTweet]) -> Annotations:
    """The 60 tweets' truth; every fifth is a test pair."""
    return true_labels(tweets, np.where(np.arange(len(tweets)) % 5 == 4, "test", "train"))


@pytest.fixture
def start(
    encoders: TwoEncodersConfig, annotations: Annotations, shards: list[ShardFile], cache: EmbeddingCache
) -> Start:
    """start(key=value, ..., annotations=...): a trainer on the two shards, for the text task unless told otherwise."""

    def make(
        network: NetworkConfig = encoders, labels: Annotations = annotations, **changes: object
    ) -> SupervisedTrainer:
        settings = {
            "name": "small",
            "task": Task.TEXT,
            "optimizer": OptimizerConfig(learning_rate=1e-3),
            "batch_size": 16,
            "epochs": 2,
            **changes,
        }
        model = build_supervised_model(SupervisedConfig(network=network, **settings))
        return SupervisedTrainer(model, shards, labels, cache=cache)

    return make


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """make_model(network config, task=both, seed=0): the model as it stands before training."""

    def make(network: NetworkConfig, task: Task = Task.IMAGE_TEXT, seed: int = 0) -> SupervisedModel:
        return build_supervised_model(SupervisedConfig(name="small", task=task, network=network, seed=seed))

    return make


def draw_picture(seed: int) -> bytes:
    """A PNG of four coloured fields, wider than high."""
    fields = np.random.default_rng(seed).integers(0, 256, size=(2, 2, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(fields).resize((96, 48), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def ask(write_shard: Callable[[Path, Sequence[Pair]], ShardFile], cache: EmbeddingCache, tmp_path: Path) -> Ask:
    def answer(network: Network, pairs: Sequence[tuple[str, int]]) -> dict[Task, torch.Tensor]:
        network.eval()
        with torch.inference_mode():
            return network(make_batch(network, pairs, write_shard, tmp_path, cache))

    return answer


@pytest.fixture
def batch_of(
    write_shard: Callable[[Path, Sequence[Pair]], ShardFile], cache: EmbeddingCache, tmp_path: Path
) -> Callable[[Network, Sequence[tuple[str, int]]], dict[str, torch.Tensor]]:
    return lambda network, pairs: make_batch(network, pairs, write_shard, tmp_path, cache)


def make_batch(
    network: Network,
    pairs: Sequence[tuple[str, int]],
    write_shard: Callable[[Path, Sequence[Pair]], ShardFile],
    folder: Path,
    cache: EmbeddingCache,
) -> dict[str, torch.Tensor]:
    rows = [Pair(str(number), text, draw_picture(seed), f"{number}.png") for number, (text, seed) in enumerate(pairs)]
    inputs = network.read([write_shard(folder, rows)], cache)
    return network.collate(inputs, np.arange(len(rows)), CPU)


@pytest.fixture
def check_round_trip(labelled: Labelled, cache: EmbeddingCache, tmp_path: Path) -> Callable[[SupervisedModel], None]:
    """check_round_trip(model): the same answers to the bit after saving and loading, and fresh heads differ."""

    def check(model: SupervisedModel) -> None:
        model.save(tmp_path / "saved", None)
        description = json.loads((tmp_path / "saved" / "model.json").read_text())
        again = restore_supervised_model(tmp_path / "saved", description)
        assert type(again.network) is type(model.network)
        for shard in labelled.shards:
            expected = model.predict_shard(shard, cache)
            np.testing.assert_array_equal(again.predict_shard(shard, cache), expected)
            np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
        assert len(np.unique(expected.round(5), axis=0)) == labelled.shards[-1].pairs

    return check


@pytest.fixture
def check_overfit(labelled: Labelled, cache: EmbeddingCache) -> CheckOverfit:
    """check_overfit(network config, steps, task=both): after so many steps over all 32 pairs every answer is right.

    By the one trainer of all supervised systems: Adam with 1e-3, the sum of the tasks' cross-entropies.
    """

    def check(network: NetworkConfig, steps: int, task: Task = Task.IMAGE_TEXT) -> None:
        config = SupervisedConfig(
            name="small", task=task, network=network, optimizer=OptimizerConfig(learning_rate=1e-3), batch_size=PAIRS,
            epochs=steps, validation=0,
        )  # fmt: skip
        trainer = SupervisedTrainer(build_supervised_model(config), labelled.shards, labelled.annotations, cache=cache)
        for module in trainer.model.modules():  # running statistics, which answer, else follow 30 steps later
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5
        with one_thread():
            results = list(trainer.run())
        assert [result.round for result in results] == list(range(1, steps + 1))
        assert all((result.rounds, result.pairs, result.held_out_f1) == (steps, PAIRS, {}) for result in results)
        assert results[-1].loss < 0.3 < results[0].loss
        answers = trainer.predict(trainer.train_rows)
        assert set(answers) == set(BOTH if task is Task.IMAGE_TEXT else (task,))
        for each, classes in answers.items():
            known = labelled.annotations.labels(each)
            assert set(known.tolist()) == {0, 1}
            assert f1_score(known, classes, average="weighted") == 1.0

    return check


@contextmanager
def one_thread() -> Iterator[None]:
    """On a busy machine, waiting for a second thread costs many times what it saves on parts this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def untouched_parameters(model: SupervisedModel, labelled: Labelled, cache: EmbeddingCache) -> list[str]:
    inputs = model.network.read(labelled.shards, cache)
    model.train()
    logits = model.network(model.network.collate(inputs, np.arange(8), CPU))
    sum(values.square().sum() for values in logits.values()).backward()
    return [name for name, parameter in model.network.named_parameters() if parameter.grad is None]


@pytest.fixture
def find_untouched(labelled: Labelled, cache: EmbeddingCache) -> Callable[[SupervisedModel], list[str]]:
    """find_untouched(model): names of the parameters that no gradient reaches."""
    return lambda model: untouched_parameters(model, labelled, cache)


@pytest.fixture
def damage(tmp_path: Path) -> Damage:
    """damage(folder or file of weights, name): a copy without one tensor."""

    def cut(source: Path, name: str) -> Path:
        file = source / "model.safetensors" if source.is_dir() else source
        target = tmp_path / "damaged"
        target.mkdir()
        for other in source.iterdir() if source.is_dir() else []:
            (target / other.name).write_bytes(other.read_bytes())
        tensors = load_file(file)
        del tensors[name]
        save_file(tensors, target / file.name, metadata={"format": "pt"})
        return target if source.is_dir() else target / file.name

    return cut


@pytest.fixture
def explain_refusal(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> Callable[[NetworkConfig], str]:
    """explain_refusal(config): the one line that says, offline, why its weights cannot be had."""

    def build(network: NetworkConfig) -> str:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 sets it
        with pytest.raises(WeightsUnavailableError) as caught:
            make_model(network)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return build


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"), seed=0)


@pytest.fixture(scope="session")
def lxmert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lxmert(tmp_path_factory.mktemp("lxmert"), seed=0)


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"), seed=0)


@pytest.fixture(scope="session")
def words_file(tweets: list[SyntheticTweet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of every word of the tweets as it stands there."""
    words = sorted({word.text for tweet in tweets for word in split_tweet(tweet.text)})
    return write_word_vectors(tmp_path_factory.mktemp("words"), words, seed=0)


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random SigLIP of width 32 for 16 tokens of MiniLM's and pictures of 64 x 64, saved as SiglipModel does."""
    folder = tmp_path_factory.mktemp("siglip")
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    tokenizer = AutoTokenizer.from_pretrained(find_text_weights("minilm"), model_max_length=16)
    text = {**tower, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = SiglipConfig(text_config=text, vision_config={**tower, "image_size": 64, "patch_size": 16})
        SiglipModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture
def draw() -> Callable[[int], Image.Image]:
    """draw(seed): the picture that `ask` shows for a seed."""
    return lambda seed: Image.open(io.BytesIO(draw_picture(seed))).convert("RGB")
