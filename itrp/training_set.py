"""The pairs a model is trained on: cached vectors of a frozen encoder, tokens and pixels for one that is fine-tuned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itrp.config import ExperimentConfig
from itrp.embeddings import EmbeddingCache, Vectors, embed_pixel_rows, embed_tokens
from itrp.errors import DataError
from itrp.inputs import Rows, ShardFile, cache_pixels, read_texts
from itrp.model import ItrpModel


@dataclass(frozen=True)
class TrainingSet:
    """n pairs in stored order; each side is either frozen vectors or what the fine-tuned encoder reads."""

    model: ItrpModel
    cache: EmbeddingCache
    tokens: list[NDArray[np.int32]] | None
    text_vectors: Rows | None
    pixels: Rows | None
    image_vectors: Rows | None

    def embed_text(self, rows: NDArray[np.integer]) -> Vectors:
        """[m, d] text vectors of the rows, in evaluation mode."""
        if self.text_vectors is not None:
            return self.text_vectors.take(rows)
        assert self.tokens is not None
        chosen = [self.tokens[row] for row in rows]
        return embed_tokens(self.model.text, chosen, self.cache.device, self.cache.batch_size)

    def embed_image(self, rows: NDArray[np.integer]) -> Vectors:
        """[m, d] picture vectors of the rows, in evaluation mode."""
        if self.image_vectors is not None:
            return self.image_vectors.take(rows)
        assert self.pixels is not None
        return embed_pixel_rows(self.model.image, self.pixels, rows, self.cache.device, self.cache.batch_size)

    def text_batch(self, rows: NDArray[np.integer]) -> Tensor:
        """[b, d] text vectors for a training step; gradients flow where the encoder is fine-tuned."""
        if self.text_vectors is not None:
            return torch.from_numpy(self.text_vectors.take(rows)).to(self.cache.device)
        assert self.tokens is not None
        return self.model.text(*self.model.text.collate([self.tokens[row] for row in rows], self.cache.device))

    def image_batch(self, rows: NDArray[np.integer]) -> Tensor:
        """[b, d] picture vectors for a training step; gradients flow where the encoder is fine-tuned."""
        if self.image_vectors is not None:
            return torch.from_numpy(self.image_vectors.take(rows)).to(self.cache.device)
        assert self.pixels is not None
        return self.model.image(torch.from_numpy(self.pixels.take(rows)).to(self.cache.device))


def prepare_training_set(model: ItrpModel, shards: Sequence[ShardFile], cache: EmbeddingCache) -> TrainingSet:
    """Embed the frozen sides once (or read them from the cache), tokenise or decode the fine-tuned ones."""
    config = model.config
    return TrainingSet(
        model=model,
        cache=cache,
        tokens=[row for shard in shards for row in model.text.tokenize(read_texts(shard))]
        if config.text.finetune
        else None,
        text_vectors=None if config.text.finetune else Rows(list(cache.text_vectors(model.text, shards))),
        pixels=Rows([cache_pixels(shard, config.image.size, cache.folder) for shard in shards])
        if config.image.finetune
        else None,
        image_vectors=None if config.image.finetune else Rows(list(cache.image_vectors(model.image, shards))),
    )


def limit_shards(shards: Sequence[ShardFile], pairs: int | None) -> list[ShardFile]:
    """The first shards that hold the wanted number of pairs; all of them for None."""
    chosen: list[ShardFile] = []
    for shard in shards:
        if pairs is not None and sum(other.pairs for other in chosen) >= pairs:
            break
        chosen.append(shard)
    return chosen


def cut_subsets(config: ExperimentConfig, available: int) -> list[NDArray[np.int64]]:
    """Rows of each subset X_k, in training order (METHOD, Algorithm 1).

    There are n // subset_size subsets, at least one, and a remainder is spread over them: with sizes that divide
    this is the reference code's cut, and otherwise no pair is dropped. Vanilla clustering sees all pairs at once.
    Raises DataError for fewer pairs than clusters.
    """
    count = min(available, config.pairs or available)
    if count < max(config.k, 2):
        raise DataError(
            f"training needs at least {max(config.k, 2)} pairs, found {count}: ingest more, or name another data set"
        )
    rows = np.arange(count)
    if config.algorithm == "vanilla":
        return [rows]
    if config.shuffle:
        rows = np.random.default_rng(0).permutation(rows)
    return np.array_split(rows, max(1, count // config.subset_size))
