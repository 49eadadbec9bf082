import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.errors import DataError, WrongUseError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shards
from itrp.models.encoder_pair import fingerprint, read_description
from itrp.models.itrp_model import ItrpModel, build_model, load_model

CPU = torch.device("cpu")
TEXT_TENSORS = 37
"""Of a BERT of two layers without its pooler: 5 of the embeddings, 16 a layer."""
IMAGE_TENSORS = 336
"""Of ShuffleNet V2 x0.5 without its last layer: 56 convolutions, each with a batch norm of 5."""


def predict(model: ItrpModel, shards: Sequence[ShardFile], folder: Path) -> np.ndarray:
    return predict_shards(model, shards, EmbeddingCache(folder, CPU))


def random_vectors(*widths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, width, generator=generator) for width in widths]


@pytest.mark.parametrize("mapping", [None, (1, 0)])
def test_a_saved_model_answers_the_same(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tmp_path: Path,
    mapping: tuple[int, ...] | None,
) -> None:
    model = build_model(make_config("small-image", "seed=4", "text.pooling=cls"))
    model.save(tmp_path / "model", mapping, {"round": 7})
    again, found = load_model(tmp_path / "model")
    assert again.config == model.config
    assert found == mapping
    assert read_description(tmp_path / "model")["round"] == 7
    assert not again.training
    assert fingerprint(again.text) == fingerprint(model.text)  # so that the cached vectors stay of use
    assert fingerprint(again.image) == fingerprint(model.image)
    expected = predict(model, shards, tmp_path / "one")
    np.testing.assert_array_equal(predict(again, shards, tmp_path / "other"), expected)
    assert expected.std(axis=0).min() > 0


def test_a_saved_model_needs_nothing_of_where_it_was_made(
    make_config: Callable[..., ExperimentConfig], tiny_text: Path, tmp_path: Path
) -> None:
    config = make_config("small-text")
    model = build_model(config)
    elsewhere = config.model_dump(mode="json")
    elsewhere["text"]["name"], elsewhere["image"]["weights"] = "/gone/folder", "/gone/file.pth"
    model.config = ExperimentConfig.model_validate(elsewhere)
    model.save(tmp_path / "model", (0, 1))
    again, _ = load_model(tmp_path / "model")
    assert torch.equal(again.head.weight, model.head.weight)
    assert {path.suffix for path in (tmp_path / "model").rglob("*.*")} == {".json", ".safetensors"}  # no pickle


def test_a_model_of_an_architecture_with_a_version_comes_back(
    make_config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    torch.save(torchvision.models.mnasnet0_5().state_dict(), tmp_path / "weights.pth")
    config = make_config("small-image", "image.name=mnasnet0_5", f"image.weights={tmp_path / 'weights.pth'}")
    model = build_model(config)
    model.save(tmp_path / "model", None)
    again, _ = load_model(tmp_path / "model")
    again.load_tuned_state(model.tuned_state())
    assert fingerprint(again.image) == fingerprint(model.image)


def test_a_model_is_not_written_over_another(make_config: Callable[..., ExperimentConfig], tmp_path: Path) -> None:
    model = build_model(make_config("small-text"))
    model.save(tmp_path / "model", None)
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "model", None)


def test_a_folder_without_a_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected a saved ITRp model in {tmp_path}, found none"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(DataError, match=f"expected a saved ITRp model in {tmp_path}, found none"):
        load_model(tmp_path)


def test_weights_that_do_not_fit_the_description_are_refused(
    make_config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    build_model(make_config("small-text")).save(tmp_path / "model", None)
    path = tmp_path / "model" / "weights.safetensors"
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)
    with pytest.raises(DataError, match=r"weights\.safetensors the tensors that model\.json describes, found others"):
        load_model(tmp_path / "model")


def test_concatenation_puts_the_text_first(make_config: Callable[..., ExperimentConfig]) -> None:
    model = build_model(make_config("small-text"))
    text, image = random_vectors(32, 1024)
    fused = model.fuse(text, image)
    assert fused.shape == (3, 1056)
    assert torch.equal(fused[:, :32], text)
    assert torch.equal(fused[:, 32:], image)
    assert (model.head.in_features, model.head.out_features) == (1056, 2)
    np.testing.assert_array_equal(model.fuse_vectors(text.numpy(), image.numpy()), fused.numpy())


def test_multiplication_and_addition_keep_the_width(
    make_config: Callable[..., ExperimentConfig], wide_text: Path
) -> None:
    text, image = random_vectors(1024, 1024)
    for fusion, expected in (("multiplication", text * image), ("addition", text + image)):
        model = build_model(make_config("small-text", f"fusion={fusion}", f"text.name={wide_text}"))
        assert torch.equal(model.fuse(text, image), expected)
        assert model.head.in_features == 1024


@pytest.mark.parametrize("fusion", ["multiplication", "addition"])
def test_unequal_widths_need_concatenation(make_config: Callable[..., ExperimentConfig], fusion: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        build_model(make_config("small-text", f"fusion={fusion}"))
    assert f"fusion={fusion} needs encoders of equal width, found 32 (text) and 1024 (image)" in str(caught.value)


def test_the_head_is_drawn_as_a_linear_layer_from_the_seed_alone(make_config: Callable[..., ExperimentConfig]) -> None:
    model = build_model(make_config("small-text"))
    before = torch.random.get_rng_state()
    model.reset_head(5)
    assert torch.equal(torch.random.get_rng_state(), before)
    drawn = [parameter.clone() for parameter in model.head.parameters()]
    model.reset_head(6)
    assert not torch.equal(model.head.weight, drawn[0])
    torch.manual_seed(99)
    model.reset_head(5)
    assert all(torch.equal(now, then) for now, then in zip(model.head.parameters(), drawn, strict=True))
    bound = 1056**-0.5
    for parameter in drawn:
        assert parameter.abs().max() <= bound
    assert float(drawn[0].detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)  # of a uniform distribution
    assert drawn[0].mean().abs() < bound / 10


def test_models_of_one_seed_begin_with_the_same_head(make_config: Callable[..., ExperimentConfig]) -> None:
    heads = [build_model(make_config("small-text", f"seed={seed}")).head.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_dropout_acts_in_training_only(make_config: Callable[..., ExperimentConfig]) -> None:
    model = build_model(make_config("small-text", "dropout=0.5"))
    text, image = random_vectors(32, 1024)
    assert torch.equal(model.eval().classify(text, image), model.head(model.fuse(text, image)))
    assert not torch.equal(model.train().classify(text, image), model.classify(text, image))


@pytest.mark.parametrize(
    ("text", "image", "count"),
    [
        (True, False, TEXT_TENSORS + 2),
        (False, True, IMAGE_TENSORS + 2),
        (True, True, TEXT_TENSORS + IMAGE_TENSORS + 2),
        (False, False, 2),
    ],
)
def test_the_tuned_state_is_the_fine_tuned_encoder_and_the_head(
    make_config: Callable[..., ExperimentConfig], text: bool, image: bool, count: int
) -> None:
    model = build_model(make_config("small-text", f"text.finetune={text}", f"image.finetune={image}"))
    state = model.tuned_state()
    assert len(state) == count
    assert {"head.weight", "head.bias"} <= set(state)
    assert any(name.startswith("text.") for name in state) == text
    assert any(name.endswith("running_var") for name in state) == image


def test_the_tuned_state_comes_back(make_config: Callable[..., ExperimentConfig]) -> None:
    config = make_config("small-image")
    model, other = build_model(config), build_model(config)
    with torch.no_grad():
        for tensor in model.tuned_state().values():
            tensor.add_(1)
    assert fingerprint(other.image) != fingerprint(model.image)
    other.load_tuned_state(model.tuned_state())
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_a_tuned_state_of_another_experiment_is_refused(make_config: Callable[..., ExperimentConfig]) -> None:
    text, image = build_model(make_config("small-text")), build_model(make_config("small-image"))
    before = text.head.weight.clone()
    with pytest.raises(
        DataError, match=f"of {TEXT_TENSORS + 2} tensors of this model, found {IMAGE_TENSORS + 2}: it is"
    ):
        text.load_tuned_state(image.tuned_state())
    assert torch.equal(text.head.weight, before)


def test_the_fingerprint_names_what_decides_the_vectors(make_config: Callable[..., ExperimentConfig]) -> None:
    model = build_model(make_config("small-text"))
    text, image = fingerprint(model.text), fingerprint(model.image)
    assert text != image
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in (text, image))
    model.text.tokenize(["a dog " * 100])
    model.text.tokenizer(["a", "a dog"], padding=True, truncation=True, max_length=3)
    model.train()
    assert (fingerprint(model.text), fingerprint(model.image)) == (text, image)
    other = build_model(make_config("small-image", "seed=5", "text.optimizer.learning_rate=1e-3"))
    assert (fingerprint(other.text), fingerprint(other.image)) == (text, image)


@pytest.mark.parametrize(
    "change",
    ["text.pooling=cls", "text.max_tokens=16", "text.strip_link=true", "image.size=96", "image.decoder=torchvision"],
)
def test_the_fingerprint_changes_with_a_setting_that_shapes_the_vectors(
    make_config: Callable[..., ExperimentConfig], change: str
) -> None:
    plain, changed = build_model(make_config("small-text")), build_model(make_config("small-text", change))
    assert (fingerprint(plain.text) == fingerprint(changed.text)) == change.startswith("image.")
    assert (fingerprint(plain.image) == fingerprint(changed.image)) == change.startswith("text.")


def test_the_fingerprint_changes_with_weights_statistics_and_vocabulary(
    make_config: Callable[..., ExperimentConfig],
) -> None:
    model = build_model(make_config("small-text"))
    text, image = fingerprint(model.text), fingerprint(model.image)
    next(buffer for name, buffer in model.image.named_buffers() if name.endswith("running_mean")).add_(1e-3)
    assert fingerprint(model.image) != image
    weight = model.text.get_parameter("transformer.embeddings.word_embeddings.weight")
    with torch.no_grad():
        kept = float(weight[7, 3])
        weight[7, 3] += 1e-6
        assert fingerprint(model.text) != text
        weight[7, 3] = kept
    assert fingerprint(model.text) == text
    model.text.tokenizer.add_tokens(["aword"])
    assert fingerprint(model.text) != text


def test_the_description_is_stable_json(make_config: Callable[..., ExperimentConfig], tmp_path: Path) -> None:
    config = make_config("small-text")
    for name in ("one", "two"):
        build_model(config).save(tmp_path / name, (1, 0))
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert files[0].name == "model.json"
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    description = json.loads((tmp_path / "one" / "model.json").read_text())
    assert ExperimentConfig.model_validate(description["config"]) == config
    assert description["mapping"] == [1, 0]
