"""Embedding pairs: batches by length, evaluation mode, and a cache on disk for encoders that do not change."""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.data.inputs import Rows, ShardFile, find_pixels, iter_pixels, read_texts
from itrp.data.set_aside import SetAside, keep_set_aside
from itrp.files import write_atomically
from itrp.models.batch_norm_fusion import fuse_batch_norms
from itrp.models.device import Vectors, autocast
from itrp.models.encoder_pair import fingerprint
from itrp.models.image_encoder import ImageEncoder
from itrp.models.text_encoder import TextEncoder
from itrp.progress import Count, ignore_count

IMAGES_TOGETHER = 16
"""Images a CPU embeds at a time. 16 of them and a layer's maps fit a core's cache: ResNet-101 takes 12 % longer with 32,
EfficientNet-Lite0 60 % longer with 64."""


@torch.inference_mode()
def embed_tokens(
    encoder: TextEncoder,
    rows: Sequence[NDArray[np.int32]],
    device: torch.device,
    batch_size: int,
    count: Count = ignore_count,
) -> Vectors:
    """Vectors of tokenised texts, [n, d]. Texts of like length share a batch, which saves padding. count: after each batch."""
    encoder.eval()
    vectors = np.empty((len(rows), encoder.width), dtype=np.float32)
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(rows), batch_size):
        places = order[start : start + batch_size]
        with autocast(device):
            batch = encoder(*encoder.collate([rows[place] for place in places], device))
        vectors[places] = batch.float().cpu().numpy()
        count(len(places))
    return vectors


def fuse_encoder(encoder: ImageEncoder) -> ImageEncoder:
    """An encoder with the same vectors up to rounding, in evaluation mode, whose batch norms cost nothing; itself if it has none.

    EfficientNet-Lite0 takes 0.6 of the time then, ResNet-101 0.8.
    """
    backbone = fuse_batch_norms(encoder.eval().backbone, encoder.config.size)
    if backbone is encoder.backbone:
        return encoder
    fused = copy.copy(encoder)
    fused._buffers = {**encoder._buffers}
    fused._modules = {**encoder._modules, "backbone": backbone.to(memory_format=torch.channels_last)}
    return fused


def embed_pixels(encoder: ImageEncoder, pixels: NDArray[np.uint8], device: torch.device, batch_size: int) -> Vectors:
    """Vectors of images, [n, d], from [n, size, size, 3] uint8."""
    return _embed_pixels(fuse_encoder(encoder), pixels, device, batch_size)


@torch.inference_mode()
def _embed_pixels(
    encoder: ImageEncoder,
    pixels: NDArray[np.uint8],
    device: torch.device,
    batch_size: int,
    count: Count = ignore_count,
) -> Vectors:
    """By an encoder that is ready to answer."""
    parts = []
    if device.type == "cpu":
        batch_size = min(batch_size, IMAGES_TOGETHER)
    for start in range(0, len(pixels), batch_size):
        # a copy: the rows may be a read-only memory map
        batch = torch.from_numpy(np.array(pixels[start : start + batch_size])).to(device)
        with autocast(device):
            parts.append(encoder(batch).float().cpu().numpy())
        count(len(batch))
    return np.concatenate(parts) if parts else np.empty((0, encoder.width), dtype=np.float32)


def embed_pixel_rows(
    encoder: ImageEncoder,
    pixels: Rows,
    rows: NDArray[np.integer],
    device: torch.device,
    batch_size: int,
    count: Count = ignore_count,
) -> Vectors:
    """Vectors of the chosen rows, [m, d], read batch by batch so that memory does not grow with m. count: after each batch."""
    ready = fuse_encoder(encoder)
    chunks = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return np.concatenate([_embed_pixels(ready, pixels.take(chunk), device, batch_size, count) for chunk in chunks])


class EmbeddingCache:
    """Vectors of whole shards by encoder: `<folder>/<encoder fingerprint>-<device>/<shard hash>.npy`.

    A file is written under a temporary name and renamed, so that a reader never sees half of it.
    """

    def __init__(self, folder: Path, device: torch.device, batch_size: int = 64) -> None:
        self.folder = folder
        self.device = device
        self.batch_size = batch_size

    def text_vectors(
        self, encoder: TextEncoder, shards: Sequence[ShardFile], count: Count = ignore_count
    ) -> Iterator[Vectors]:
        """One [n, d] array a shard, from the cache where it lies there. count: is called with the pairs that are ready."""
        return self._cached(encoder, shards, lambda shard: self.embed_texts(encoder, shard, count), count)

    def image_vectors(
        self, encoder: ImageEncoder, shards: Sequence[ShardFile], count: Count = ignore_count
    ) -> Iterator[Vectors]:
        """One [n, d] array a shard, from the cache where it lies there. count: is called with the pairs that are ready."""
        ready = cache(lambda: fuse_encoder(encoder))  # once, and only when a shard has to be embedded
        return self._cached(encoder, shards, lambda shard: self._embed_images(ready(), shard, count), count)

    def embed_texts(self, encoder: TextEncoder, shard: ShardFile, count: Count = ignore_count) -> Vectors:
        """[n, d] vectors of a shard's texts, computed and not kept: for an encoder that is being trained."""
        return embed_tokens(encoder, encoder.tokenize(read_texts(shard)), self.device, self.batch_size, count)

    def embed_images(self, encoder: ImageEncoder, shard: ShardFile) -> Vectors:
        """[n, d] vectors of a shard's images, computed and not kept; cached pixels are used where they are.

        An image that cannot be decoded is a black one here; `itrp.data.set_aside.read_set_aside` tells which rows those are.
        """
        return self._embed_images(fuse_encoder(encoder), shard)

    def _embed_images(self, ready: ImageEncoder, shard: ShardFile, count: Count = ignore_count) -> Vectors:
        pixels = find_pixels(shard, ready.config.pixels, self.folder)
        if pixels is not None:
            return _embed_pixels(ready, pixels, self.device, self.batch_size, count)
        found: list[SetAside] = []
        batches = iter_pixels(shard, ready.config.pixels, found)
        vectors = np.concatenate(
            [_embed_pixels(ready, batch, self.device, self.batch_size, count) for batch in batches]
        )
        if found:
            keep_set_aside(shard.hash, found, self.folder)
        return vectors

    def _cached(
        self,
        encoder: TextEncoder | ImageEncoder,
        shards: Sequence[ShardFile],
        compute: Callable[[ShardFile], Vectors],
        count: Count,
    ) -> Iterator[Vectors]:
        name = fingerprint(encoder)
        for shard in shards:
            path = vector_file(self.folder, name, self.device.type, shard)
            if not path.exists():
                keep_array(path, compute(shard))
            else:
                count(shard.pairs)
            yield np.load(path, mmap_mode="r")


def vector_file(folder: Path, encoder: str, runtime: str, shard: ShardFile) -> Path:
    """Where an encoder's vectors of a shard lie: by its fingerprint, and by what computes, because bf16 and fp32 differ."""
    return folder / f"vectors-{encoder}-{runtime}" / f"{shard.hash}.npy"


def keep_array(path: Path, array: Vectors) -> None:
    """Write an array so that the file is whole whenever it is there."""
    with write_atomically(path) as draft, draft.open("wb") as file:
        np.save(file, array)
