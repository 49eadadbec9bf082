"""A dual encoder's vectors of whole shards, kept on the disk: a new version with the same encoder costs no pass."""

import io
from collections.abc import Iterator, Sequence
from functools import cache as remember
from pathlib import Path

import numpy as np
from PIL import Image

from itrp.data.inputs import ShardFile
from itrp.data.set_aside import SetAside, explain_row, keep_set_aside
from itrp.data.shards import iter_batches
from itrp.inference.embeddings import EmbeddingCache, keep_array, vector_file
from itrp.models.device import Vectors
from itrp.models.dual_aligned_model import DualAlignedModel
from itrp.models.dual_encoder import DualEncoder
from itrp.progress import Count, ignore_count


def read_dual_vectors(
    system: DualAlignedModel, shards: Sequence[ShardFile], cache: EmbeddingCache, count: Count = ignore_count
) -> Iterator[tuple[Vectors, Vectors]]:
    """Text and image vectors of each shard, [n, d] memory maps of length 1, computed where nobody has kept them.

    An image that cannot be decoded is a black one here; `itrp.data.set_aside.read_set_aside` tells which rows those are.
    count: is called with the texts and images that are ready.
    """
    for shard in shards:
        texts, images = (_find_file(system, side, shard, cache) for side in ("texts", "images"))
        if not texts.exists():
            keep_array(texts, _embed_texts(system.encoder, shard, cache, count))
        else:
            count(shard.pairs)
        if not images.exists():
            keep_array(images, _embed_images(system.encoder, shard, cache, count))
        else:
            count(shard.pairs)
        yield np.load(texts, mmap_mode="r"), np.load(images, mmap_mode="r")


def _find_file(system: DualAlignedModel, side: str, shard: ShardFile, cache: EmbeddingCache) -> Path:
    return vector_file(cache.folder, f"{system.fingerprint}-{side}", cache.device.type, shard)


def _embed_texts(encoder: DualEncoder, shard: ShardFile, cache: EmbeddingCache, count: Count) -> Vectors:
    parts = []
    for batch in iter_batches(shard.path, ["text"]):
        parts.append(encoder.embed_texts(batch.column("text").to_pylist(), cache.device, cache.batch_size))
        count(len(parts[-1]))
    return np.concatenate(parts)


def _embed_images(encoder: DualEncoder, shard: ShardFile, cache: EmbeddingCache, count: Count) -> Vectors:
    parts: list[Vectors] = []
    found: list[SetAside] = []
    start = 0
    for batch in iter_batches(shard.path, ["image"]):
        images = batch.column("image").field("bytes").to_pylist()
        parts.append(_embed_or_blank(encoder, images, start, cache, found))
        start += len(images)
        count(len(images))
    keep_set_aside(shard.hash, found, cache.folder)
    return np.concatenate(parts)


def _embed_or_blank(
    encoder: DualEncoder, images: Sequence[bytes], start: int, cache: EmbeddingCache, found: list[SetAside]
) -> Vectors:
    """[b, d] of images from row `start` on; those that the encoder cannot read are black, and added to `found`."""
    try:
        return encoder.embed_images(images, cache.device, cache.batch_size)
    except MemoryError:  # says something about this machine, not about an image
        raise
    except Exception:  # rare, for ingestion has decoded them all: which ones?
        rejected = [each for row, data in enumerate(images) if (each := _try(encoder, data, start + row)) is not None]
        if not rejected:
            raise
    found += rejected
    unread = {each.row - start for each in rejected}
    readable = [_draw_blank() if row in unread else data for row, data in enumerate(images)]
    return encoder.embed_images(readable, cache.device, cache.batch_size)


def _try(encoder: DualEncoder, data: bytes, row: int) -> SetAside | None:
    """Why an image cannot be read; None where it can."""
    try:
        encoder.preprocess([data])
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on a hostile file
        return explain_row(row, error)
    return None


@remember
def _draw_blank() -> bytes:
    """A black image's file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    return file.getvalue()
