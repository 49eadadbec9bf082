"""A trained model's answers: cluster probabilities of pairs."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.embeddings import EmbeddingCache, Vectors
from itrp.inputs import ShardFile
from itrp.model import ItrpModel


def embed_shard(model: ItrpModel, shard: ShardFile, cache: EmbeddingCache) -> tuple[Vectors, Vectors]:
    """Text and picture vectors of a shard, [n, d_text] and [n, d_image]; those of a frozen encoder come from the cache."""
    text = (
        cache.embed_texts(model.text, shard)
        if model.config.text.finetune
        else next(cache.text_vectors(model.text, [shard]))
    )
    image = (
        cache.embed_images(model.image, shard)
        if model.config.image.finetune
        else next(cache.image_vectors(model.image, [shard]))
    )
    return text, image


@torch.inference_mode()
def classify_vectors(model: ItrpModel, text: Vectors, image: Vectors, device: torch.device) -> NDArray[np.float32]:
    """[n, k] cluster probabilities (softmax of the head)."""
    model.eval()
    logits = model.classify(torch.tensor(text, device=device), torch.tensor(image, device=device))
    return torch.softmax(logits.float(), dim=1).cpu().numpy()


def predict_shard(model: ItrpModel, shard: ShardFile, cache: EmbeddingCache) -> NDArray[np.float32]:
    """[n, k] cluster probabilities of a shard's pairs, in stored order."""
    return classify_vectors(model, *embed_shard(model, shard, cache), cache.device)


def predict_shards(model: ItrpModel, shards: Sequence[ShardFile], cache: EmbeddingCache) -> NDArray[np.float32]:
    """[n, k] cluster probabilities of several shards' pairs, one after the other."""
    return np.concatenate([predict_shard(model, shard, cache) for shard in shards])
