"""What scoring is measured on: JPEGs of 600 x 400 with texts of some 25 tokens, BERT-base and ResNet-101 with random weights."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.experiments import find_experiment
from itrp.labels import Task
from itrp.models.encoder_pair import MODEL_FILE
from itrp.models.image_encoder import ImageEncoder
from itrp.models.itrp_model import ItrpModel
from itrp.models.text_encoder import TextEncoder

SIZE = (600, 400)
WORDS = 2_000
TOKENS = (12, 39)
"""Shortest and longest text; 25 in the mean, as tweets are."""
EXPERIMENTS = {Task.TEXT: "paper-text", Task.IMAGE: "paper-image"}


def draw_pairs(count: int, seed: int = 0) -> Iterator[Pair]:
    """Pairs whose pictures cost a decoder what photographs cost: some 70 kB each."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize(
            SIZE, Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse).astype(np.int16) + rng.integers(-10, 11, (*SIZE[::-1], 3), dtype=np.int16)
        image = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(image, "JPEG", quality=85)
        words = rng.integers(0, WORDS, rng.integers(TOKENS[0] - 2, TOKENS[1] - 1))
        yield Pair(f"{seed}-{number}", " ".join(f"w{word}" for word in words), image.getvalue(), f"{number}.jpg")


def write_shards(folder: Path, pairs: int, shards: int) -> list[ShardFile]:
    """So many shards of equal size."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(shards):
        data = encode_shard(list(draw_pairs(pairs // shards, number)))
        path = folder / f"{shard_hash(data)}.parquet"
        path.write_bytes(data)
        written.append(ShardFile(shard_hash(data), path, pairs // shards))
    return written


def save_models(folder: Path) -> dict[str, Path]:
    """Saved models by name: text-1, image-1, and text-2 and image-2 whose fine-tuned encoder is another.

    Written where they are not there yet. Both tasks' models have the same untouched encoders, as models have that were
    trained from one checkpoint.
    """
    names = [f"{task}-{number}" for task in (Task.TEXT, Task.IMAGE) for number in (1, 2)]
    folders = {name: folder / name for name in names}
    if all((path / MODEL_FILE).exists() for path in folders.values()):
        return folders
    texts = {name: _draw_bert(seed) for name, seed in (("base", 0), ("text-1", 1), ("text-2", 2))}
    images = {name: _draw_resnet(seed) for name, seed in (("base", 0), ("image-1", 1), ("image-2", 2))}
    for task in (Task.TEXT, Task.IMAGE):
        config = find_experiment(EXPERIMENTS[task])
        for number in (1, 2):
            name = f"{task}-{number}"
            model = _assemble(config, texts.get(name, texts["base"]), images.get(name, images["base"]))
            model.save(folders[name], (0, 1), {"round": 1})
    return folders


def _assemble(config: ExperimentConfig, text: BertModel, image: nn.Module) -> ItrpModel:
    model = ItrpModel(config, TextEncoder(config.text, text, make_tokenizer()), ImageEncoder(config.image, image))
    model.reset_head(0)
    return model.eval()


def make_tokenizer() -> PreTrainedTokenizerFast:
    """BERT's kind, one token a word."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    vocabulary = {word: number for number, word in enumerate((*special, *(f"w{number}" for number in range(WORDS))))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _draw_bert(seed: int) -> BertModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertModel(BertConfig(), add_pooling_layer=False).eval()


def _draw_resnet(seed: int) -> nn.Module:
    """Its batch norms have seen pictures: without that a random network's maps vanish or grow without bound."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torchvision.models.resnet101(weights=None)
        network.fc = nn.Identity()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            network.train()(torch.randn(16, 3, 64, 64))
        return network.eval()
