from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.images import load_pixels
from itrp.data.inputs import ShardFile
from itrp.datasets.synthetic import SyntheticTweet
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import embed_shard, predict_shard, predict_shards
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.pixel_format import PixelFormat

CPU = torch.device("cpu")


def forward_by_hand(model: ItrpModel, texts: list[str], pixels: np.ndarray) -> np.ndarray:
    """[n, k] probabilities, pair by pair, in float64 from the fused vector on."""
    model.eval()
    weight, bias = (parameter.detach().double().numpy() for parameter in (model.head.weight, model.head.bias))
    rows = []
    for text, image in zip(texts, pixels, strict=True):
        with torch.inference_mode():
            first = model.text(*model.text.collate(model.text.tokenize([text]), CPU))
            second = model.image(torch.from_numpy(image[None]))
        logits = weight @ np.concatenate((first[0].double().numpy(), second[0].double().numpy())) + bias
        powers = np.exp(logits - logits.max())
        rows.append(powers / powers.sum())
    return np.array(rows)


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [
        ("small-text", ["dropout=0.5"]),
        ("small-image", []),
        ("small-text", ["text.finetune=false"]),
        ("small-image", ["task=image-text", "k=4"]),
    ],
)
def test_predictions_are_the_forward_pass(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tweets: list[SyntheticTweet],
    tmp_path: Path,
    experiment: str,
    changes: list[str],
) -> None:
    model = build_model(make_config(experiment, *changes)).train()
    cache = EmbeddingCache(tmp_path, CPU, 7)
    found = predict_shards(model, shards, cache)
    expected = forward_by_hand(
        model,
        [tweet.text for tweet in tweets],
        np.stack([load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets]),
    )
    assert found.shape == (60, model.config.k)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert expected.std(axis=0).min() > 1e-4  # not one answer for all
    np.testing.assert_array_equal(predict_shard(model, shards[1], cache), found[34:])


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_the_frozen_side_comes_from_the_cache_and_the_tuned_side_does_not(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path, experiment: str
) -> None:
    model = build_model(make_config(experiment))
    cache = EmbeddingCache(tmp_path, CPU)
    text, image = embed_shard(model, shards[1], cache)
    frozen = model.image if experiment == "small-text" else model.text
    (file,) = tmp_path.rglob("*.npy")
    assert file.parent.name == f"vectors-{fingerprint(frozen)}-cpu"
    np.save(file, np.full((26, frozen.width), 7, dtype=np.float32))
    again_text, again_image = embed_shard(model, shards[1], cache)
    if experiment == "small-text":
        np.testing.assert_array_equal(again_text, text)
        assert (again_image == 7).all()
    else:
        np.testing.assert_array_equal(again_image, image)
        assert (again_text == 7).all()
    expected = model.classify_vectors(np.array(again_text), np.array(again_image), shards[1])
    np.testing.assert_array_equal(predict_shard(model, shards[1], cache), expected)


def test_a_tuned_model_does_not_answer_from_an_older_ones_vectors(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    model = build_model(make_config("small-text"))
    cache = EmbeddingCache(tmp_path, CPU)
    before = predict_shard(model, shards[0], cache)
    with torch.no_grad():
        model.text.get_parameter("transformer.embeddings.word_embeddings.weight").mul_(3)
    assert np.abs(predict_shard(model, shards[0], cache) - before).max() > 1e-3


def test_both_sides_frozen_need_no_shard_the_second_time(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    model = build_model(make_config("small-text", "text.finetune=false"))
    cache = EmbeddingCache(tmp_path, CPU)
    before = predict_shards(model, shards, cache)
    gone = [ShardFile(shard.hash, tmp_path / "gone.parquet", shard.pairs) for shard in shards]
    np.testing.assert_array_equal(predict_shards(model, gone, cache), before)


def test_probabilities_are_the_softmax_of_the_head(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile]
) -> None:
    model = build_model(make_config("small-text"))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[1, 0] = 1  # logit 1 is the text's first number, logit 0 nothing
        model.head.bias.zero_()
    text, image = np.zeros((3, 32), dtype=np.float32), np.ones((3, 1024), dtype=np.float32)
    text[:, 0] = [0, np.log(3), -np.log(3)]
    found = model.classify_vectors(text, image, shards[0])
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]], atol=1e-6)
