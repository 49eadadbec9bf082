"""What the GPU benchmark works on: random models and synthetic pairs, of the paper's sizes or small enough for a test."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.lib.format import open_memmap
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from itrp.config import ExperimentConfig, override
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.experiments import find_experiment
from itrp.models.image_encoder import ImageEncoder
from itrp.models.itrp_model import ItrpModel
from itrp.models.text_encoder import TextEncoder
from tests.benchmarks.scoring_inputs import TOKENS, WORDS, draw_pairs, make_tokenizer

SMALL_BELOW = 0.01
"""Scale below which the encoders are small too: then the point is that everything runs, not how quickly."""
PAIRS, SUBSET, SCORED = 100_000, 5_000, 40_000


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    pairs: int
    subset: int
    scored: int
    distinct: int
    """Different JPEGs among those that are scored; drawing one costs more than decoding it."""
    image: str
    image_size: int
    """Side of a picture, pixels."""
    bert: dict[str, int]
    clustered: tuple[int, int]
    """[n, d] of the features that are clustered."""
    batch: int
    """Pairs embedded at a time."""

    @property
    def full(self) -> bool:
        """Are these the sizes that the targets speak of?"""
        return self.pairs == PAIRS and self.image == "resnet101"


def choose_sizes(scale: float) -> Sizes:
    """The paper's sizes times a scale."""
    if scale >= SMALL_BELOW:
        return Sizes(int(PAIRS * scale), SUBSET, int(SCORED * scale), 2_000, "resnet101", 224, {}, (5_000, 2_816), 256)
    bert = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    pairs = max(int(PAIRS * scale), 40)
    return Sizes(pairs, pairs // 2, pairs // 2, 10, "resnet18", 64, bert, (300, 60), 16)


def draw_model(task: str, sizes: Sizes, seed: int = 0) -> ItrpModel:
    """The paper's experiment with random weights. The untouched encoders of one seed are the same for both tasks."""
    assignments = [f"pairs={sizes.pairs}", f"subset_size={sizes.subset}", "epochs=2", f"image.name={sizes.image}"]
    assignments += [f"image.size={sizes.image_size}", f"embed_batch_size={sizes.batch}", "text.name=random"]
    config: ExperimentConfig = override(find_experiment(f"paper-{task}"), assignments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = TextEncoder(
            config.text, BertModel(BertConfig.from_dict(sizes.bert), add_pooling_layer=False), make_tokenizer()
        )
        image = ImageEncoder(config.image, _draw_network(sizes.image))
    model = ItrpModel(config, text, image)
    model.reset_head(seed)
    return model.eval()


def _draw_network(name: str) -> nn.Module:
    """Its batch norms have seen pictures: without that a random network's maps grow without bound."""
    network = torchvision.models.get_model(name, weights=None)
    network.fc = nn.Identity()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momentum = norms[0].momentum
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(16, 3, 64, 64))
    for norm in norms:
        norm.momentum = momentum
    return network


def write_training_shards(folder: Path, cache: Path, sizes: Sizes) -> list[ShardFile]:
    """Shards of one subset each, whose pixels are decoded already: one file of pixels, linked to every shard's name.

    Every other pair is of another kind, text and picture, so that the clusters, and with them the number of steps, come out
    about even.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pixels = _write_pixels(cache / f"pixels-{sizes.image_size}" / "all.npy", sizes, rng)
    shards = []
    for start in range(0, sizes.pairs, sizes.subset):
        pairs = [_draw_text_pair(start + row, rng) for row in range(min(sizes.subset, sizes.pairs - start))]
        data = encode_shard(pairs)
        shard = ShardFile(shard_hash(data), folder / f"{start}.parquet", len(pairs))
        shard.path.write_bytes(data)
        os.link(pixels, pixels.with_name(f"{shard.hash}.npy"))
        shards.append(shard)
    return shards


def _draw_text_pair(number: int, rng: np.random.Generator) -> Pair:
    low = number % 2 * WORDS // 2
    words = rng.integers(low, low + WORDS // 2, rng.integers(TOKENS[0] - 2, TOKENS[1] - 1))
    return Pair(str(number), " ".join(f"w{word}" for word in words), b"\xff\xd8\xff", f"{number}.jpg")


def _write_pixels(path: Path, sizes: Sizes, rng: np.random.Generator) -> Path:
    """[subset, side, side, 3]: noise, dark and bright in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (sizes.subset, sizes.image_size, sizes.image_size, 3)
    pixels = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for row in range(sizes.subset):
        pixels[row] = rng.integers(0, 160, shape[1:], dtype=np.uint8) + 90 * np.uint8(row % 2)
    pixels.flush()
    return path


def write_scored_shards(folder: Path, sizes: Sizes) -> list[ShardFile]:
    """JPEGs of 600 x 400: one file under the hashes of many, which are other shards to every cache."""
    folder.mkdir(parents=True)
    data = encode_shard(list(draw_pairs(sizes.distinct)))
    path = folder / "scored.parquet"
    path.write_bytes(data)
    times = max(1, sizes.scored // sizes.distinct)
    return [ShardFile(f"{number:08d}{shard_hash(data)[8:]}", path, sizes.distinct) for number in range(times)]


def count_flops(act: Callable[[], object]) -> int:
    """Multiplications and additions of products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        act()
    return int(counter.get_total_flops())


def flops_of(model: ItrpModel, sizes: Sizes, device: torch.device) -> tuple[float, float]:
    """(of a text of mean length, of a picture), one pass forward."""
    tokens = torch.ones((8, sum(TOKENS) // 2), dtype=torch.int64, device=device)
    pixels = torch.zeros((4, sizes.image_size, sizes.image_size, 3), dtype=torch.uint8, device=device)
    model.to(device).eval()
    return count_flops(lambda: model.text(tokens, tokens)) / 8, count_flops(lambda: model.image(pixels)) / 4


def name_variant(target: str, sizes: Sizes, device: torch.device, variant: str = "") -> str:
    """The target's name alone only where the sizes and the device are those it speaks of."""
    on_target = sizes.full and device.type == "cuda" and "H100" in torch.cuda.get_device_name(device)
    parts: Sequence[str] = [] if on_target else [_describe(device), f"{sizes.pairs} pairs"]
    told = ", ".join([*([variant] if variant else []), *parts])
    return f"{target}: {told}" if told else target


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
