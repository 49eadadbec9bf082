"""Small real parts for the method's tests: two shards of synthetic tweets, encoders of some thousand weights.

Torch is imported by the fixtures that need it, so that the files that do without it stay quick by themselves.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from itrp.config import ExperimentConfig, override
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.datasets.synthetic import SyntheticTweet, generate_tweets
from itrp.experiments import find_experiment

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
IMAGE_NAME = "shufflenet_v2_x0_5"

MakeConfig = Callable[..., ExperimentConfig]
"""make_config("small-text", "seed=3", ...): the experiment with the small parts and the assignments."""
WriteShard = Callable[[Path, Sequence[Pair]], ShardFile]


def write_pairs(folder: Path, pairs: Sequence[Pair]) -> ShardFile:
    data = encode_shard(pairs)
    name = shard_hash(data)
    path = folder / f"{name}.parquet"
    path.write_bytes(data)
    return ShardFile(name, path, len(pairs))


@pytest.fixture(scope="session")
def write_shard() -> WriteShard:
    return write_pairs


@pytest.fixture(scope="session")
def tweets() -> list[SyntheticTweet]:
    """60 synthetic tweets."""
    return list(generate_tweets(60, seed=1))


@pytest.fixture(scope="session")
def shards(tweets: list[SyntheticTweet], tmp_path_factory: pytest.TempPathFactory) -> list[ShardFile]:
    """The tweets in two shards of 34 and 26 pairs."""
    folder = tmp_path_factory.mktemp("shards")
    pairs = [Pair(tweet.id, tweet.text, tweet.image, f"{tweet.id}{tweet.suffix}") for tweet in tweets]
    return [write_pairs(folder, pairs[:34]), write_pairs(folder, pairs[34:])]


@pytest.fixture(scope="session")
def tiny_text(tweets: list[SyntheticTweet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random BERT of width 32 and a WordPiece tokenizer of the tweets' words, pieces of letters otherwise."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    words = sorted({word for tweet in tweets for word in re.findall(r"\w+|[^\w\s]", tweet.text.lower())})
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys((*SPECIAL_TOKENS, *words, *"abcdefgh")))}
    save_wordpiece(folder, vocabulary)
    save_bert(folder, len(vocabulary), width=32, layers=2)
    return folder


@pytest.fixture(scope="session")
def wide_text(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one layer of width 1024, as wide as `tiny_image`."""
    folder = tmp_path_factory.mktemp("wide-bert")
    for file in tiny_text.glob("tokenizer*"):
        (folder / file.name).write_bytes(file.read_bytes())
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    save_bert(folder, len(vocabulary), width=1024, layers=1)
    return folder


def save_bert(folder: Path, tokens: int, width: int, layers: int) -> None:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=tokens,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)


def save_wordpiece(folder: Path, vocabulary: dict[str, int]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL_TOKENS, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of torchvision's smallest classifier, ShuffleNet V2 x0.5 (width 1024)."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("tiny-image") / "shufflenet.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(torchvision.models.get_model(IMAGE_NAME).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def make_config(tiny_text: Path, tiny_image: Path) -> MakeConfig:
    """Three rounds of 20 pairs in batches of 8, unless told otherwise."""
    small = [
        f"text.name={tiny_text}",
        f"image.name={IMAGE_NAME}",
        f"image.weights={tiny_image}",
        "image.size=64",
        "clustering.n_init=2",
        "subset_size=20",
        "batch_size=8",
    ]

    def make(experiment: str, *assignments: str) -> ExperimentConfig:
        return override(find_experiment(experiment), [*small, *assignments])

    return make
