"""A trained system's predictions: cluster probabilities of pairs, from shards or from memory."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.rejections import RejectedError
from itrp.data.set_aside import read_set_aside
from itrp.data.shards import encode_shard, shard_hash
from itrp.inference.dual_vectors import read_dual_vectors
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.device import Vectors, no_vectors
from itrp.models.dual_aligned_model import DualAlignedModel
from itrp.models.encoder_pair import EncoderPair


class BatchSettings(Protocol):
    """The part of a system's configuration that predicting takes."""

    @property
    def embed_batch_size(self) -> int:
        """Pairs at a time."""
        ...


class ShardPredictor(Protocol):
    """A system that predicts shards in its own way, as the supervised ones do."""

    @property
    def config(self) -> BatchSettings:
        """What it was trained with."""
        ...

    def predict_shard(self, shard: ShardFile, cache: EmbeddingCache) -> NDArray[np.float32]:
        """[n, k] probabilities of a shard's pairs, in stored order."""
        ...


VectorModel: TypeAlias = EncoderPair | DualAlignedModel
"""What predicts from vectors of texts and of images, and so can be asked for a text beside another image."""
VECTOR_MODELS = (EncoderPair, DualAlignedModel)


def embed_shard(model: VectorModel, shard: ShardFile, cache: EmbeddingCache) -> tuple[Vectors, Vectors]:
    """Text and image vectors of a shard, [n, d_text] and [n, d_image]; those of a frozen encoder come from the cache."""
    if isinstance(model, DualAlignedModel):
        return next(read_dual_vectors(model, [shard], cache))
    if not model.reads_text:
        text = no_vectors(shard.pairs)
    elif model.config.text.finetune:
        text = cache.embed_texts(model.text, shard)
    else:
        text = next(cache.text_vectors(model.text, [shard]))
    image = (
        cache.embed_images(model.image, shard)
        if model.config.image.finetune
        else next(cache.image_vectors(model.image, [shard]))
    )
    return text, image


def predict_shard(system: VectorModel | ShardPredictor, shard: ShardFile, cache: EmbeddingCache) -> NDArray[np.float32]:
    """[n, k] cluster probabilities of a shard's pairs, in stored order; of a supervised system, class probabilities."""
    if isinstance(system, VECTOR_MODELS):
        return system.classify_vectors(*embed_shard(system, shard, cache), shard)
    return system.predict_shard(shard, cache)


def predict_shards(
    system: VectorModel | ShardPredictor, shards: Sequence[ShardFile], cache: EmbeddingCache
) -> NDArray[np.float32]:
    """[n, k] probabilities of several shards' pairs, one after the other."""
    return np.concatenate([predict_shard(system, shard, cache) for shard in shards])


def predict_pairs(
    system: VectorModel | ShardPredictor, texts: Sequence[str], images: Sequence[bytes], device: torch.device
) -> NDArray[np.float32]:
    """[n, k] probabilities of n texts and their images' bytes, by way of a shard that is thrown away.

    Raises RejectedError for bytes that are no image.
    """
    pairs = [Pair(str(row), text, data, str(row)) for row, (text, data) in enumerate(zip(texts, images, strict=True))]
    data = encode_shard(pairs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.parquet"
        path.write_bytes(data)
        cache = EmbeddingCache(Path(folder), device, system.config.embed_batch_size)
        shard = ShardFile(shard_hash(data), path, len(pairs))
        predictions = predict_shard(system, shard, cache)
        for rejected in read_set_aside(shard.hash, cache.folder) or ():
            raise RejectedError(rejected.code, f"the image in row {rejected.row}: {rejected.reason}")
        return predictions
