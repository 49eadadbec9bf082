"""Supervised models as files: what was saved answers as before, from a shard and from memory."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.baselines.config import CmaClipConfig, TwoEncodersConfig
from itrp.baselines.supervised_model import SupervisedModel
from itrp.baselines.supervised_training import SupervisedTrainer
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile, iter_pixels, read_texts
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_pairs, predict_shard, predict_shards
from itrp.labels import Task
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat
from itrp.systems import load_system

CPU = torch.device("cpu")

Start = Callable[..., SupervisedTrainer]


@pytest.fixture(params=["two encoders, one task", "two encoders, joint", "cma-clip"])
def system(request: pytest.FixtureRequest, start: Start, clip_folder: Path) -> SupervisedModel:
    """Trained for an epoch."""
    if request.param == "cma-clip":
        trainer = start(CmaClipConfig(name=str(clip_folder), heads=4), task=Task.IMAGE_TEXT, epochs=1)
    else:
        trainer = start(task=Task.IMAGE_TEXT if "joint" in request.param else Task.IMAGE, epochs=1)
    list(trainer.run())
    return trainer.model


def test_what_was_saved_answers_as_before(
    system: SupervisedModel, shards: list[ShardFile], cache: EmbeddingCache, tmp_path: Path
) -> None:
    answers = {}
    for task in system.network.tasks:
        system.answers = task
        system.save(tmp_path / str(task), mapping=(0, 1), extra={"round": 7})
        loaded, mapping = load_system(tmp_path / str(task))
        assert isinstance(loaded, SupervisedModel)
        assert (mapping, loaded.answers, loaded.config, loaded.training) == ((0, 1), task, system.config, False)
        answers[task] = predict_shards(loaded, shards, cache)
        assert answers[task].shape == (60, 2)
        np.testing.assert_array_equal(answers[task], predict_shards(system, shards, cache))
        assert json.loads((tmp_path / str(task) / "model.json").read_text())["round"] == 7
    if len(answers) == 2:
        assert np.abs(answers[Task.TEXT] - answers[Task.IMAGE]).max() > 1e-3


def test_a_folder_with_another_models_weights_is_refused(start: Start, tmp_path: Path) -> None:
    start(task=Task.TEXT).model.save(tmp_path / "text", mapping=(0, 1))
    start(task=Task.IMAGE_TEXT).model.save(tmp_path / "both", mapping=(0, 1))
    (tmp_path / "text" / "weights.safetensors").write_bytes((tmp_path / "both" / "weights.safetensors").read_bytes())
    with pytest.raises(DataError, match=r"expected in \S+weights.safetensors the tensors that model.json describes"):
        load_system(tmp_path / "text")


def test_an_architecture_that_asks_for_its_version_goes_the_whole_way(
    start: Start, encoders: TwoEncodersConfig, shards: list[ShardFile], cache: EmbeddingCache, tmp_path: Path
) -> None:
    """torchvision's MNASNet refuses a state dict that does not say which version it is."""
    import torchvision
    from safetensors.torch import save_file

    save_file(torchvision.models.get_model("mnasnet0_5").state_dict(), tmp_path / "mnasnet.safetensors")
    image = encoders.image.model_copy(update={"name": "mnasnet0_5", "weights": str(tmp_path / "mnasnet.safetensors")})
    trainer = start(encoders.model_copy(update={"image": image}), epochs=1, pairs=16)
    list(trainer.run())
    trainer.keep_best()
    trainer.model.save(tmp_path / "saved", mapping=(0, 1))
    loaded, _ = load_system(tmp_path / "saved")
    np.testing.assert_array_equal(
        predict_shard(loaded, shards[1], cache), predict_shard(trainer.model, shards[1], cache)
    )


def test_pairs_in_memory_are_answered_as_in_a_shard(
    system: SupervisedModel, shards: list[ShardFile], tweets: list[SyntheticTweet], cache: EmbeddingCache
) -> None:
    texts, images = [tweet.text for tweet in tweets[34:]], [tweet.image for tweet in tweets[34:]]
    found = predict_pairs(system, texts, images, CPU)
    np.testing.assert_array_equal(found, predict_shard(system, shards[1], cache))


@pytest.mark.parametrize("experiment", ["small-text", "small-image", "small-vanilla-kmeans"])
def test_an_itrp_model_answers_pairs_in_memory_too(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tweets: list[SyntheticTweet],
    cache: EmbeddingCache,
    experiment: str,
) -> None:
    model = build_model(make_config(experiment)).eval()
    texts, images = [tweet.text for tweet in tweets[34:]], [tweet.image for tweet in tweets[34:]]
    found = predict_pairs(model, texts, images, CPU)
    assert found.shape == (26, model.config.k)
    np.testing.assert_allclose(found, predict_shard(model, shards[1], cache), atol=1e-6)
    with pytest.raises(ValueError, match=r"zip\(\)"):
        predict_pairs(model, texts[1:], images, CPU)


def test_the_shards_are_those_of_the_tweets(shards: list[ShardFile], tweets: list[SyntheticTweet]) -> None:
    """What the comparisons above stand on."""
    assert read_texts(shards[1]) == [tweet.text for tweet in tweets[34:]]
    assert sum(len(batch) for batch in iter_pixels(shards[1], PixelFormat(64))) == 26
