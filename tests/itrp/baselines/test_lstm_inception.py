from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from itrp.baselines.config import LstmInceptionConfig
from itrp.baselines.stand_ins import measure_batch_norms
from itrp.baselines.supervised_model import SupervisedModel
from itrp.baselines.word_vectors import UNKNOWN
from itrp.config import ImageEncoderConfig
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import WeightsUnavailableError
from itrp.labels import Task

SIZES = {"googlenet": 64, "inception_v3": 96}
"""Sides of the pictures: the smallest that each architecture takes, rounded up."""
WIDTHS = {"googlenet": 1024, "inception_v3": 2048}


@pytest.fixture(scope="session")
def image_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of both, as published ones are: with the auxiliary heads that are not used."""
    folder = tmp_path_factory.mktemp("inception")
    for name in SIZES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = torchvision.models.get_model(name, init_weights=False)
            measure_batch_norms(model, 299)  # which is as small as the auxiliary heads take
        save_file(model.state_dict(), folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in SIZES}


@pytest.fixture
def make_config(image_files: dict[str, Path], words_file: Path) -> Callable[[str], LstmInceptionConfig]:
    def make(name: str = "googlenet") -> LstmInceptionConfig:
        image = ImageEncoderConfig(name=name, weights=str(image_files[name]), size=SIZES[name], finetune=True)
        return LstmInceptionConfig(words=str(words_file), image=image)

    return make


@pytest.fixture
def model(make_config: Callable, make_model: Callable) -> SupervisedModel:
    return make_model(make_config())


@pytest.fixture
def texts(tweets: list[SyntheticTweet]) -> tuple[str, str]:
    """A short one and the longest."""
    ordered = sorted((tweet.text for tweet in tweets), key=lambda text: len(text.split()))
    return ordered[0], ordered[-1]


def test_it_is_the_stated_network(model: SupervisedModel, texts: tuple[str, str], batch_of: Callable) -> None:
    """LSTM and perceptron computed by hand from their weights, gate by gate."""
    network = model.network.eval()
    batch = batch_of(network, [(text, number) for number, text in enumerate(texts)])
    with torch.inference_mode():
        logits = network(batch)
        images = network.image(batch["pixels"]).double()
    weights = {name: tensor.double() for name, tensor in network.state_dict().items()}
    for row, length in enumerate(batch["lengths"].tolist()):
        h = c = torch.zeros(200, dtype=torch.float64)
        for x in batch["vectors"][row, :length].double():
            gates = weights["lstm.weight_ih_l0"] @ x + weights["lstm.bias_ih_l0"]
            gates += weights["lstm.weight_hh_l0"] @ h + weights["lstm.bias_hh_l0"]
            i, f, g, o = gates.split(200)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        hidden = weights["hidden.0.weight"] @ torch.cat((h, images[row])) + weights["hidden.0.bias"]
        for task in (Task.TEXT, Task.IMAGE):
            expected = weights[f"heads.{task}.weight"] @ hidden.relu() + weights[f"heads.{task}.bias"]
            torch.testing.assert_close(logits[task][row].double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SIZES)
def test_both_picture_encoders_are_to_be_had(name: str, make_config: Callable, make_model: Callable) -> None:
    network = make_model(make_config(name)).network
    assert network.image.width == WIDTHS[name]
    assert network.hidden[0].weight.shape == (200, 200 + WIDTHS[name])


def test_padding_and_order_have_no_influence(model: SupervisedModel, texts: tuple[str, str], ask: Callable) -> None:
    short, long = texts
    alone, together = ask(model.network, [(short, 0)]), ask(model.network, [(long, 1), (short, 0)])
    turned = ask(model.network, [(short, 0), (long, 1)])
    for task in (Task.TEXT, Task.IMAGE):
        torch.testing.assert_close(together[task][1], alone[task][0], atol=1e-5, rtol=0)
        torch.testing.assert_close(turned[task].flip(0), together[task], atol=1e-5, rtol=0)
        assert not torch.allclose(together[task][0], together[task][1], atol=1e-4)


def test_text_and_picture_both_count(model: SupervisedModel, texts: tuple[str, str], ask: Callable) -> None:
    short, long = texts
    answers = ask(model.network, [(short, 0), (long, 0), (short, 1)])[Task.TEXT]
    assert not torch.allclose(answers[0], answers[1], atol=1e-4)
    assert not torch.allclose(answers[0], answers[2], atol=1e-6)


def test_words_without_a_vector_are_zero_and_long_tweets_are_cut(model: SupervisedModel, batch_of: Callable) -> None:
    batch = batch_of(model.network, [("qqqq " * 100, 0)])
    assert batch["lengths"].tolist() == [64]
    assert batch["vectors"].shape == (1, 64, 50)
    assert not batch["vectors"].any()
    assert UNKNOWN == 0


def test_every_parameter_is_trained_and_no_word_vector(model: SupervisedModel, find_untouched: Callable) -> None:
    assert find_untouched(model) == []
    assert {name.split(".")[1] for name, _ in model.named_parameters()} == {"lstm", "image", "hidden", "heads"}


def test_a_folder_gives_the_same_model_again_without_the_users_file(
    make_config: Callable, make_model: Callable, words_file: Path, tmp_path: Path, check_round_trip: Callable
) -> None:
    moved = tmp_path / "moved.txt"
    moved.write_bytes(words_file.read_bytes())
    model = make_model(make_config().model_copy(update={"words": str(moved)}))
    moved.unlink()
    check_round_trip(model)


def test_heads_are_drawn_from_the_seed(make_config: Callable, make_model: Callable) -> None:
    first, again, other = (make_model(make_config(), seed=seed).network.state_dict() for seed in (0, 0, 1))
    for name in ("lstm.weight_ih_l0", "hidden.0.weight", "heads.text.weight"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_it_learns_32_pairs_by_heart(make_config: Callable, check_overfit: Callable) -> None:
    check_overfit(make_config(), steps=25)


def test_word_vectors_that_are_not_to_be_had_are_named_in_one_line(make_config: Callable, make_model: Callable) -> None:
    with pytest.raises(WeightsUnavailableError, match="reads pretrained word vectors, and found none given") as error:
        make_model(make_config().model_copy(update={"words": ""}))
    assert "\n" not in str(error.value)


def test_a_smaller_vocabulary_is_what_is_saved(make_config: Callable, make_model: Callable, tmp_path: Path) -> None:
    make_model(make_config().model_copy(update={"vocabulary": 5})).save(tmp_path / "model", None)
    assert np.load(tmp_path / "model/network/words/vectors.npy").shape == (6, 50)
