"""The pairs a model is trained on: cached vectors of a frozen encoder, tokens and pixels for one that is fine-tuned."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.config import ExperimentConfig
from itrp.data.inputs import Rows, ShardFile, cache_pixels, explain_rejected, read_texts
from itrp.data.set_aside import read_set_aside
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache, embed_pixel_rows, embed_tokens, fuse_encoder
from itrp.models.device import Vectors, autocast, no_vectors
from itrp.models.image_encoder import ImageEncoder
from itrp.models.itrp_model import ItrpModel
from itrp.models.text_encoder import TextEncoder
from itrp.progress import Count, Progress, count_stage, ignore_count, ignore_progress
from itrp.training.device_cache import DeviceRows, DeviceTokens, bring_rows, bring_tokens, fits, to_device

logger = logging.getLogger(__name__)

TEXTS_TOGETHER = 8
"""Texts of a training batch that are padded to one length, on the CPU."""


@dataclass(frozen=True)
class TrainingSet:
    """n pairs in stored order; each side is either frozen vectors or what the fine-tuned encoder reads.

    On a GPU they lie in its memory, where they fit.
    """

    model: ItrpModel
    cache: EmbeddingCache
    tokens: list[NDArray[np.int32]] | DeviceTokens | None
    text_vectors: Rows | DeviceRows | None
    pixels: Rows | DeviceRows | None
    image_vectors: Rows | DeviceRows | None
    forward_text: Callable[[Tensor, Tensor], Tensor]
    """The text encoder in a training step: itself, or compiled."""
    forward_image: Callable[[Tensor], Tensor]
    set_aside: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Rows whose images cannot be decoded: black ones stand in their place, and nothing should be learned from them."""

    def drop_set_aside(self, subsets: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """The subsets without those rows, in their order."""
        return [rows[~np.isin(rows, self.set_aside)] for rows in subsets]

    def embed_text(self, rows: NDArray[np.integer], count: Count = ignore_count) -> Vectors:
        """[m, d] text vectors of the rows, in evaluation mode. count: is called with the rows that an encoder has read."""
        if self.text_vectors is not None:
            return _take(self.text_vectors, rows)
        assert self.tokens is not None
        if isinstance(self.tokens, DeviceTokens):
            lengths = self.tokens.host_lengths[rows]
            return self._embed_device_rows(
                self.model.text, self.tokens, rows, np.argsort(lengths, kind="stable"), count
            )
        chosen = [self.tokens[row] for row in rows]
        return embed_tokens(self.model.text, chosen, self.cache.device, self.cache.batch_size, count)

    def embed_image(self, rows: NDArray[np.integer], count: Count = ignore_count) -> Vectors:
        """[m, d] image vectors of the rows, in evaluation mode. count: as above."""
        if self.image_vectors is not None:
            return _take(self.image_vectors, rows)
        assert self.pixels is not None
        if isinstance(self.pixels, DeviceRows):
            return self._embed_device_rows(self.model.image, self.pixels, rows, np.arange(len(rows)), count)
        return embed_pixel_rows(self.model.image, self.pixels, rows, self.cache.device, self.cache.batch_size, count)

    def text_batch(self, rows: NDArray[np.integer]) -> Tensor:
        """[b, d] text vectors for a training step; gradients flow where the encoder is fine-tuned."""
        if self.text_vectors is not None:
            return _fetch(self.text_vectors, rows, self.cache.device)
        assert self.tokens is not None
        if isinstance(self.tokens, DeviceTokens):
            return self.forward_text(*self.tokens.take(rows))
        return self._forward_by_length([self.tokens[row] for row in rows])

    def image_batch(self, rows: NDArray[np.integer]) -> Tensor:
        """[b, d] image vectors for a training step; gradients flow where the encoder is fine-tuned."""
        if self.image_vectors is not None:
            return _fetch(self.image_vectors, rows, self.cache.device)
        assert self.pixels is not None
        return self.forward_image(_fetch(self.pixels, rows, self.cache.device))

    def _forward_by_length(self, rows: Sequence[NDArray[np.int32]]) -> Tensor:
        """[b, d]: texts of like length a few at a time, so that not all are padded to the longest of the batch.

        Half of a batch of tweets is padding otherwise. On a GPU small parts would cost more than the padding.
        """
        if len(rows) <= TEXTS_TOGETHER:
            return self.forward_text(*self.model.text.collate(rows, self.cache.device))
        order = np.argsort([len(row) for row in rows], kind="stable")
        parts = [order[start : start + TEXTS_TOGETHER] for start in range(0, len(order), TEXTS_TOGETHER)]
        vectors = [
            self.forward_text(*self.model.text.collate([rows[i] for i in part], self.cache.device)) for part in parts
        ]
        return torch.cat(vectors)[torch.from_numpy(np.argsort(order)).to(self.cache.device)]

    @torch.inference_mode()
    def _embed_device_rows(
        self,
        encoder: TextEncoder | ImageEncoder,
        source: DeviceTokens | DeviceRows,
        rows: NDArray[np.integer],
        order: NDArray[np.integer],
        count: Count,
    ) -> Vectors:
        """[m, d] in batches of this order; the host waits once, for all of them."""
        encoder = fuse_encoder(encoder) if isinstance(encoder, ImageEncoder) else encoder.eval()
        parts = []
        for start in range(0, len(rows), self.cache.batch_size):
            inputs = source.take(rows[order[start : start + self.cache.batch_size]])
            with autocast(self.cache.device):
                parts.append(encoder(*inputs) if isinstance(inputs, tuple) else encoder(inputs))
            count(min(self.cache.batch_size, len(rows) - start))
        vectors = np.empty((len(rows), encoder.width), dtype=np.float32)
        vectors[order] = torch.cat(parts).float().cpu().numpy()
        return vectors


def _take(source: Rows | DeviceRows, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    taken = source.take(rows)
    return taken.cpu().numpy() if isinstance(taken, Tensor) else taken


def _fetch(source: Rows | DeviceRows, rows: NDArray[np.integer], device: torch.device) -> Tensor:
    taken = source.take(rows)
    return taken if isinstance(taken, Tensor) else to_device(taken, device)


def prepare_training_set(
    model: ItrpModel,
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    *,
    on_device: bool | None = None,
    compiled: bool = False,
    progress: Progress = ignore_progress,
) -> TrainingSet:
    """Embed the frozen sides once (or read them from the cache), tokenise or decode the fine-tuned ones.

    on_device: hold them on the device; None decides by its kind and free memory. compiled: fine-tuned encoders go through
    torch.compile in a training step (with CUDA graphs on a GPU), which takes minutes once and costs nothing a step.
    """
    config, pairs = model.config, sum(shard.pairs for shard in shards)

    def count(stage: str) -> Count:
        return count_stage(progress, stage, pairs)

    def hold(rows: Rows) -> Rows | DeviceRows:
        wanted = fits(rows, cache.device) if on_device is None else on_device
        return bring_rows(rows, cache.device) if wanted else rows

    tokens: list[NDArray[np.int32]] | DeviceTokens | None = None
    if config.text.finetune:
        tokens = [row for shard in shards for row in model.text.tokenize(read_texts(shard))]
        if tokens and (cache.device.type == "cuda" if on_device is None else on_device):
            tokens = bring_tokens(tokens, model.text.tokenizer.pad_token_id or 0, cache.device)
    text_vectors: Rows | DeviceRows | None = None
    if not model.reads_text:
        text_vectors = Rows([no_vectors(shard.pairs) for shard in shards])
    elif not config.text.finetune:
        text_vectors = hold(Rows(list(cache.text_vectors(model.text, shards, count("texts embedded")))))
    pixels, image_vectors = None, None
    if config.image.finetune:
        decoded = count("images decoded")
        pixels = hold(Rows([cache_pixels(shard, config.image.pixels, cache.folder, decoded) for shard in shards]))
    else:
        image_vectors = hold(Rows(list(cache.image_vectors(model.image, shards, count("images embedded")))))
    return TrainingSet(
        model=model,
        cache=cache,
        tokens=tokens,
        text_vectors=text_vectors,
        pixels=pixels,
        image_vectors=image_vectors,
        set_aside=list_set_aside(shards, cache.folder),
        forward_text=_compile(model.text, cache.device) if compiled and config.text.finetune else model.text,
        forward_image=_compile(model.image, cache.device) if compiled and config.image.finetune else model.image,
    )


def _compile(encoder: nn.Module, device: torch.device) -> Callable[..., Tensor]:
    """A second way to call the encoder, with its parameters; evaluation keeps to the first."""
    return torch.compile(encoder, mode="reduce-overhead" if device.type == "cuda" else "default")


def list_set_aside(shards: Sequence[ShardFile], folder: Path) -> NDArray[np.int64]:
    """Rows, counted over all shards, that reading their images has set aside; with a warning that counts them."""
    rows: list[int] = []
    start, first = 0, None
    for shard in shards:
        # vectors of a former release, which stopped at such a row, have no list beside them
        found = read_set_aside(shard.hash, folder) or ()
        first = first or next(((shard, each) for each in found), None)
        rows += [start + each.row for each in found]
        start += shard.pairs
    if first is not None:
        told = explain_rejected(*first)
        logger.warning("leaving out %d of %d pairs whose images cannot be decoded; first: %s", len(rows), start, told)
    return np.array(rows, dtype=np.int64)


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
