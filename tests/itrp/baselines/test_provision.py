"""Stand-ins: written once, found again, put where a configuration asks for them; every small system answers with them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.baselines.config import LxmertConfig, SupervisedConfig, ZeroShotConfig
from itrp.baselines.experiments import SUPERVISED_EXPERIMENTS, ZERO_SHOT_EXPERIMENTS
from itrp.baselines.provision import has_stand_ins, provide_stand_ins, provide_zero_shot
from itrp.baselines.stand_ins import DETECTOR, DETECTOR_SIZE
from itrp.baselines.supervised_model import SupervisedModel, build_supervised_model
from itrp.baselines.tweet_words import split_tweet
from itrp.config import override
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import WrongUseError
from itrp.experiments import find_experiment
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shard
from itrp.labels import Task
from itrp.systems import load_system

SMALL = [name for name in SUPERVISED_EXPERIMENTS if name.startswith("small-")]
WITHOUT_STAND_INS = "small-bert-resnet"


def find_supervised(name: str, *assignments: str) -> SupervisedConfig:
    config = override(find_experiment(name), assignments)
    assert isinstance(config, SupervisedConfig)
    return config


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(scope="session")
def texts(tweets: list[SyntheticTweet]) -> list[str]:
    return [tweet.text for tweet in tweets]


def snapshot(folder: Path) -> dict[str, int]:
    """Every file and when it was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith(WITHOUT_STAND_INS)])
def test_stand_ins_are_written_once_and_put_where_they_are_asked_for(
    stand_ins: Path, texts: list[str], name: str
) -> None:
    asked = find_supervised(name)
    config = provide_stand_ins(asked, stand_ins, texts)
    assert has_stand_ins(asked)
    assert not has_stand_ins(config)
    assert config.model_copy(update={"network": asked.network}) == asked
    assert type(config.network) is type(asked.network)
    assert SupervisedConfig.model_validate(config.model_dump()) == config
    before = snapshot(stand_ins)
    assert provide_stand_ins(asked, stand_ins, texts) == config
    assert snapshot(stand_ins) == before


@pytest.mark.parametrize("name", [f"{WITHOUT_STAND_INS}-text", "paper-clip-text", "paper-lxmert-image"])
def test_a_configuration_without_stand_ins_is_left_as_it_is(stand_ins: Path, texts: list[str], name: str) -> None:
    config = find_supervised(name)
    assert provide_stand_ins(config, stand_ins / "never", texts) is config
    assert not (stand_ins / "never").exists()
    assert not has_stand_ins(config)


def test_both_systems_on_clip_share_one(stand_ins: Path, texts: list[str]) -> None:
    clip, cma, zero_shot = (
        provide_stand_ins(find_supervised("small-clip-text"), stand_ins, texts).network.name,
        provide_stand_ins(find_supervised("small-cma-clip"), stand_ins, texts).network.name,
        provide_zero_shot(find_zero_shot("small-zero-shot-similarity"), stand_ins).model,
    )
    assert clip == cma == zero_shot


def find_zero_shot(name: str) -> ZeroShotConfig:
    config = find_experiment(name)
    assert isinstance(config, ZeroShotConfig)
    return config


@pytest.mark.parametrize("name", ZERO_SHOT_EXPERIMENTS)
def test_a_model_to_be_asked_is_provided_too(stand_ins: Path, name: str) -> None:
    asked = find_zero_shot(name)
    config = provide_zero_shot(asked, stand_ins)
    if name.startswith("paper-"):
        assert config is asked
        return
    assert (config.name, config.method) == (asked.name, asked.method)
    assert (Path(config.model) / "config.json").exists()
    before = snapshot(stand_ins)
    assert provide_zero_shot(asked, stand_ins) == config
    assert snapshot(stand_ins) == before


def test_a_stand_in_that_a_kill_left_half_is_written_anew(tmp_path: Path, texts: list[str]) -> None:
    config = provide_stand_ins(find_supervised("small-roberta-efficientnet-text"), tmp_path, texts)
    whole = (tmp_path / "roberta" / "model.safetensors").read_bytes()
    (tmp_path / "roberta" / "written").unlink()
    (tmp_path / "roberta" / "model.safetensors").write_bytes(whole[:100])
    assert provide_stand_ins(find_supervised("small-roberta-efficientnet-text"), tmp_path, texts) == config
    assert (tmp_path / "roberta" / "model.safetensors").read_bytes() == whole


def test_word_vectors_know_the_words_of_the_texts_and_other_texts_other_words(tmp_path: Path, texts: list[str]) -> None:
    config = find_supervised("small-lstm-inception-text")
    path = Path(provide_stand_ins(config, tmp_path, texts).network.words)
    words = {line.split(" ")[0] for line in path.read_text(encoding="utf-8").splitlines()}
    assert words == {word.text.lower() for text in texts for word in split_tweet(text)}
    assert provide_stand_ins(config, tmp_path, texts[::-1]).network.words == str(path)
    assert provide_stand_ins(config, tmp_path, [*texts, "Überraschung!"]).network.words != str(path)


def test_parts_of_ones_own_stay_beside_a_stand_in(stand_ins: Path, texts: list[str], tmp_path: Path) -> None:
    whole = provide_stand_ins(find_supervised("small-lxmert-text"), stand_ins, texts).network
    assert isinstance(whole, LxmertConfig)
    assert (whole.detector, whole.detector_size, whole.boxes) == (DETECTOR, DETECTOR_SIZE, 12)
    own = provide_stand_ins(find_supervised("small-lxmert-text", "network.name=own/lxmert"), stand_ins, texts).network
    assert own == whole.model_copy(update={"name": "own/lxmert"})
    mine = ["network.detector=fasterrcnn_resnet50_fpn", f"network.detector_weights={tmp_path}/mine.pth"]
    other = provide_stand_ins(find_supervised("small-lxmert-text", *mine), stand_ins, texts).network
    assert isinstance(other, LxmertConfig)
    assert (other.detector, other.detector_weights) == ("fasterrcnn_resnet50_fpn", f"{tmp_path}/mine.pth")
    assert (other.name, other.detector_size) == (whole.name, None)
    larger = provide_stand_ins(find_supervised("small-lxmert-text", "network.detector_size=128"), stand_ins, texts)
    assert larger.network == whole.model_copy(update={"detector_size": 128})


@pytest.mark.parametrize("half", ["network.detector=fasterrcnn_resnet50_fpn", "network.detector_weights=COCO_V1"])
def test_half_a_detector_of_ones_own_is_refused(stand_ins: Path, texts: list[str], half: str) -> None:
    with pytest.raises(WrongUseError, match="a stand-in is both, the detector and its weights; give both, or neither"):
        provide_stand_ins(find_supervised("small-lxmert-image", half), stand_ins, texts)


@pytest.mark.parametrize("name", ["small-clip-text", "small-lxmert-text", "small-roberta-efficientnet-text"])
def test_a_stand_in_is_no_name_that_could_be_loaded(explain_refusal: Callable[..., str], name: str) -> None:
    """Whoever forgets to provide it is told, and gets no model with random weights."""
    assert "'stand-in'" in explain_refusal(find_supervised(name).network)


@pytest.fixture(scope="module")
def four(
    tweets: list[SyntheticTweet], write_shard: Callable[..., ShardFile], tmp_path_factory: pytest.TempPathFactory
) -> ShardFile:
    pairs = [Pair(tweet.id, tweet.text, tweet.image, f"{tweet.id}{tweet.suffix}") for tweet in tweets[:4]]
    return write_shard(tmp_path_factory.mktemp("four"), pairs)


@pytest.mark.parametrize("name", [name for name in SMALL if not name.endswith("-image")])
def test_every_small_system_answers_and_comes_back_without_its_stand_ins(
    stand_ins: Path, texts: list[str], four: ShardFile, tmp_path: Path, name: str
) -> None:
    """What was saved needs nothing from outside its folder."""
    shutil.copytree(stand_ins, tmp_path / "stand-ins")
    config = provide_stand_ins(find_supervised(name), tmp_path / "stand-ins", texts)
    model = build_supervised_model(config)
    assert model.network.tasks == config.tasks
    cache = EmbeddingCache(tmp_path / "cache", torch.device("cpu"))
    expected = predict_shard(model.eval(), four, cache)
    assert expected.shape == (4, 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    assert len(np.unique(expected.round(6), axis=0)) == 4
    model.save(tmp_path / "saved", mapping=(0, 1), extra={"round": 1})
    shutil.rmtree(tmp_path / "stand-ins")
    loaded, _ = load_system(tmp_path / "saved")
    assert isinstance(loaded, SupervisedModel)
    assert loaded.answers is Task.TEXT
    np.testing.assert_array_equal(predict_shard(loaded, four, cache), expected)
    elsewhere = EmbeddingCache(tmp_path / "elsewhere", torch.device("cpu"))
    np.testing.assert_allclose(predict_shard(loaded, four, elsewhere), expected, atol=1e-6)
