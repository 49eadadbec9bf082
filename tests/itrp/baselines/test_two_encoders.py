import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.transforms import functional

from itrp.baselines.config import TwoEncodersConfig
from itrp.baselines.stand_ins import measure_batch_norms, write_roberta
from itrp.baselines.supervised_model import SupervisedModel
from itrp.config import ImageEncoderConfig, TextEncoderConfig
from itrp.data.images import load_pixels
from itrp.datasets.synthetic import SyntheticTweet
from itrp.labels import Task
from itrp.pixel_format import PixelFormat

PAIRINGS = {"bert-resnet": "resnet18", "roberta-efficientnet": "efficientnet_b0"}
"""Image encoder of each: the smallest of its family."""
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
SHORT, LONG = "a dog", "the dog that ran over the green meadow saw a cat, a bird and another dog in the garden"


@pytest.fixture(scope="session")
def configs(
    tiny_text: Path, tweets: list[SyntheticTweet], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, TwoEncodersConfig]:
    folder = tmp_path_factory.mktemp("two-encoders")
    texts = {"bert-resnet": tiny_text, "roberta-efficientnet": write_roberta(folder / "roberta", seed=0)}
    seen = np.stack(
        [load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets[32:]]
    )  # not those that are learned below
    return {
        pairing: TwoEncodersConfig(
            text=TextEncoderConfig(name=str(texts[pairing]), finetune=True),
            image=ImageEncoderConfig(name=name, weights=str(save_image(folder, name, seen)), size=64, finetune=True),
        )
        for pairing, name in PAIRINGS.items()
    }


def save_image(folder: Path, name: str, seen: np.ndarray) -> Path:
    """A random classifier whose batch norms have seen pictures, as those of any real one have."""
    images = functional.normalize(torch.from_numpy(seen).permute(0, 3, 1, 2) / 255, *IMAGENET)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = torchvision.models.get_model(name)
        measure_batch_norms(backbone, 64, images)
    save_file(backbone.state_dict(), folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


@pytest.fixture(params=PAIRINGS)
def config(request: pytest.FixtureRequest, configs: dict[str, TwoEncodersConfig]) -> TwoEncodersConfig:
    return configs[request.param]


@pytest.fixture
def model(config: TwoEncodersConfig, make_model: Callable[..., SupervisedModel]) -> SupervisedModel:
    return make_model(config)


def test_the_encoders_are_of_the_named_classes(configs: dict[str, TwoEncodersConfig], make_model: Callable) -> None:
    networks = [make_model(configs[pairing]).network for pairing in PAIRINGS]
    assert [type(network.text.transformer).__name__ for network in networks] == ["BertModel", "RobertaModel"]
    assert [type(network.image.backbone).__name__ for network in networks] == ["ResNet", "EfficientNet"]
    assert [network.heads["text"].in_features for network in networks] == [32 + 512, 64 + 1280]


def test_logits_are_a_linear_layer_over_both_vectors(model: SupervisedModel, batch_of: Callable) -> None:
    network = model.network.eval()
    batch = batch_of(network, [(SHORT, 0), (LONG, 1)])
    with torch.inference_mode():
        logits = network(batch)
        text = network.text(batch["input_ids"], batch["attention_mask"]).numpy()
        image = network.image(batch["pixels"]).numpy()
    assert set(logits) == {Task.TEXT, Task.IMAGE}
    for task, values in logits.items():
        weight, bias = (parameter.detach().numpy() for parameter in network.heads[task].parameters())
        expected = np.concatenate([text, image], axis=1) @ weight.T + bias
        np.testing.assert_allclose(values.numpy(), expected, atol=1e-5)
    assert not torch.allclose(logits[Task.TEXT], logits[Task.IMAGE], atol=1e-3)


def test_padding_has_no_influence(model: SupervisedModel, ask: Callable) -> None:
    alone, beside = ask(model.network, [(SHORT, 0)]), ask(model.network, [(LONG, 1), (SHORT, 0)])
    other = ask(model.network, [(LONG, 0)])
    for task in (Task.TEXT, Task.IMAGE):
        torch.testing.assert_close(beside[task][1], alone[task][0], atol=1e-5, rtol=0)
        assert not torch.allclose(other[task], alone[task], atol=1e-4)


def test_every_parameter_is_trained(model: SupervisedModel, find_untouched: Callable) -> None:
    assert find_untouched(model) == []


def test_a_folder_gives_the_same_model_again(model: SupervisedModel, check_round_trip: Callable) -> None:
    check_round_trip(model)


def test_heads_are_drawn_from_the_seed(config: TwoEncodersConfig, make_model: Callable) -> None:
    first, again, other = (make_model(config, seed=seed).network.heads["text"].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_task_has_one_head(config: TwoEncodersConfig, make_model: Callable, ask: Callable) -> None:
    assert set(ask(make_model(config, Task.IMAGE).network, [(SHORT, 0)])) == {Task.IMAGE}


def test_it_learns_32_pairs_by_heart(config: TwoEncodersConfig, check_overfit: Callable) -> None:
    check_overfit(config, steps={"resnet18": 20, "efficientnet_b0": 30}[config.image.name])


@pytest.mark.parametrize("part", ["text", "image"])
def test_weights_that_lack_a_tensor_are_refused(
    config: TwoEncodersConfig, part: str, damage: Callable, explain_refusal: Callable
) -> None:
    if part == "text":
        missing, field, source = "encoder.layer.1.output.dense.weight", "name", config.text.name
    else:
        last = {"resnet18": "layer4.1.conv2.weight", "efficientnet_b0": "features.8.0.weight"}
        missing, field, source = last[config.image.name], "weights", config.image.weights
    branch = getattr(config, part).model_copy(update={field: str(damage(Path(source), missing))})
    told = explain_refusal(config.model_copy(update={part: branch}))
    assert re.search(r"lack 1 (of its tensors|tensors of \w+) or have them in another shape", told)
    assert f"'{missing}' first" in told


def test_weights_that_are_not_to_be_had_are_named(config: TwoEncodersConfig, explain_refusal: Callable) -> None:
    config = config.model_copy(update={"text": TextEncoderConfig(name="no-such/roberta", finetune=True)})
    assert explain_refusal(config).startswith("the text encoder 'no-such/roberta' was looked for as a local folder")
