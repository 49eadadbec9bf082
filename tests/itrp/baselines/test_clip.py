from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    CLIPModel,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    SiglipModel,
)

from itrp.baselines.config import ClipConfig
from itrp.baselines.stand_ins import write_clip
from itrp.baselines.supervised_model import SupervisedModel
from itrp.labels import Task

KINDS = {"clip": CLIPModel, "siglip": SiglipModel}
SHORT, LONG = "a dog", "the dog that ran over the green meadow saw a cat, a bird and another dog in the garden"
BOTH = (Task.TEXT, Task.IMAGE)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def config(kind: str, clip_folder: Path, siglip_folder: Path) -> ClipConfig:
    return ClipConfig(name=str({"clip": clip_folder, "siglip": siglip_folder}[kind]))


@pytest.fixture
def model(config: ClipConfig, make_model: Callable) -> SupervisedModel:
    return make_model(config)


@pytest.mark.parametrize("normalise", [True, False])
def test_logits_are_a_linear_layer_over_the_embeddings_of_the_pair(
    kind: str, config: ClipConfig, normalise: bool, make_model: Callable, ask: Callable, draw: Callable
) -> None:
    """Against transformers' own model, tokenizer and processor: everything resized to 64 x 64, nothing cropped."""
    network = make_model(config.model_copy(update={"normalise": normalise})).network
    logits = ask(network, [(SHORT, 0), (LONG, 1)])
    text, image = embed_by_transformers(config.name, kind, [SHORT, LONG], [draw(0), draw(1)], normalise)
    for task in BOTH:
        weight, bias = (parameter.detach() for parameter in network.heads[task].parameters())
        expected = torch.cat((text, image), dim=1) @ weight.T + bias
        torch.testing.assert_close(logits[task], expected, atol=1e-5, rtol=0)
        assert (expected[0] - expected[1]).abs().max() > 1e-3


def embed_by_transformers(
    folder: str, kind: str, texts: list[str], images: list[Image.Image], normalise: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    reference = AutoModel.from_pretrained(folder).eval()
    assert type(reference) is KINDS[kind]
    padding = {"padding": "max_length", "max_length": 16} if kind == "siglip" else {"padding": True}
    tokens = AutoTokenizer.from_pretrained(folder)(texts, truncation=True, return_tensors="pt", **padding)
    if kind == "siglip":
        tokens = {"input_ids": tokens["input_ids"]}
    squares = [image.resize((64, 64), Image.Resampling.BILINEAR) for image in images]
    processor = AutoImageProcessor.from_pretrained(folder)
    pixels = processor(squares, do_resize=False, do_center_crop=False, return_tensors="pt")
    with torch.inference_mode():
        if normalise:
            both = reference(**tokens, **pixels)
            return both.text_embeds, both.image_embeds
        text, image = reference.get_text_features(**tokens), reference.get_image_features(**pixels)
        return text.pooler_output, image.pooler_output


def test_what_else_is_in_the_batch_has_no_influence(model: SupervisedModel, ask: Callable) -> None:
    alone, beside = ask(model.network, [(SHORT, 0)]), ask(model.network, [(LONG, 1), (SHORT, 0)])
    other_text, other_picture = ask(model.network, [(LONG, 0)]), ask(model.network, [(SHORT, 1)])
    for task in BOTH:
        torch.testing.assert_close(beside[task][1], alone[task][0], atol=1e-5, rtol=0)
        assert not torch.allclose(other_text[task], alone[task], atol=1e-4)
        assert not torch.allclose(other_picture[task], alone[task], atol=1e-4)


def test_clip_is_padded_in_the_batch_and_siglip_to_its_full_length(
    kind: str, model: SupervisedModel, batch_of: Callable
) -> None:
    batch = batch_of(model.network, [("a dog", 0), ("a dog ran", 0)])
    if kind == "clip":
        assert batch["input_ids"].shape == (2, 5)
        assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    else:
        assert batch["input_ids"].shape == (2, 16)
        assert "attention_mask" not in batch
    assert batch["pixels"].shape == (2, 64, 64, 3)
    assert batch["pixels"].dtype == torch.uint8


def test_long_texts_are_cut_at_the_models_maximum(kind: str, model: SupervisedModel, batch_of: Callable) -> None:
    batch = batch_of(model.network, [("dog " * 200, 0)])
    assert batch["input_ids"].shape == (1, 77 if kind == "clip" else 16)
    whole = model.network.encoder.tokenizer("dog")["input_ids"]
    assert batch["input_ids"][0, -1] == whole[-1]  # the end mark is still there


def test_only_what_an_embedding_does_not_need_is_not_trained(
    kind: str, model: SupervisedModel, find_untouched: Callable
) -> None:
    contrastive = ["logit_scale"] if kind == "clip" else ["logit_scale", "logit_bias"]
    assert find_untouched(model) == [f"encoder.model.{name}" for name in contrastive]


def test_a_folder_gives_the_same_model_again(model: SupervisedModel, check_round_trip: Callable) -> None:
    check_round_trip(model)


def test_it_learns_32_pairs_by_heart(kind: str, config: ClipConfig, check_overfit: Callable) -> None:
    check_overfit(config, steps={"clip": 80, "siglip": 120}[kind])


def test_the_stand_in_is_drawn_from_its_seed(clip_folder: Path, tmp_path: Path) -> None:
    again, other = write_clip(tmp_path / "again", seed=0), write_clip(tmp_path / "other", seed=1)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (clip_folder, again, other)]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_half_precision_weights_are_trained_in_single_precision(
    config: ClipConfig, tmp_path: Path, make_model: Callable, check_round_trip: Callable
) -> None:
    AutoModel.from_pretrained(config.name, dtype=torch.float16).save_pretrained(tmp_path / "half")
    for part in (AutoTokenizer, AutoImageProcessor):
        part.from_pretrained(config.name).save_pretrained(tmp_path / "half")
    model = make_model(ClipConfig(name=str(tmp_path / "half")))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    check_round_trip(model)


def test_weights_that_lack_a_tensor_are_refused(
    config: ClipConfig, damage: Callable, explain_refusal: Callable
) -> None:
    name = "text_model.encoder.layers.1.mlp.fc2.weight"
    damaged = str(damage(Path(config.name), name))
    message = explain_refusal(config.model_copy(update={"name": damaged}))
    assert message.startswith(f"the weights of {damaged!r} lack 1 tensors")
    assert f"{name!r} first" in message


def test_weights_that_are_not_to_be_had_are_named(explain_refusal: Callable) -> None:
    message = explain_refusal(ClipConfig(name="no-such/clip"))
    assert message.startswith("the dual encoder 'no-such/clip' was looked for as a local folder")
    assert "give the hub id of a CLIP or SigLIP model, or a FOLDER holding config.json" in message


def test_a_model_of_texts_alone_is_refused(
    tiny_text: Path, tmp_path: Path, clip_folder: Path, explain_refusal: Callable
) -> None:
    for file in (*tiny_text.iterdir(), clip_folder / "preprocessor_config.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    message = explain_refusal(ClipConfig(name=str(tmp_path)))
    assert "holds a BertModel: expected a model of texts and images" in message


def test_a_folder_without_its_preprocessing_is_refused(
    clip_folder: Path, tmp_path: Path, explain_refusal: Callable
) -> None:
    """The mean and deviation that the pictures of its training had are not guessed."""
    for file in clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json" in explain_refusal(ClipConfig(name=str(tmp_path)))


def test_a_model_without_one_picture_size_is_refused(
    siglip_folder: Path, tmp_path: Path, explain_refusal: Callable
) -> None:
    """SigLIP 2 NaFlex keeps a picture's proportions; every system here sees the same square."""
    tower = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    text = {**tower, "vocab_size": 30522, "max_position_embeddings": 16}
    vision = {**tower, "num_patches": 16, "patch_size": 8}
    Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(siglip_folder).save_pretrained(tmp_path)
    Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(tmp_path)
    message = explain_refusal(ClipConfig(name=str(tmp_path)))
    assert "expected a CLIP or SigLIP model with square images of one size, found a Siglip2Model" in message


def test_pixels_are_normalised_with_the_checkpoints_own_mean(kind: str, model: SupervisedModel) -> None:
    white = {"pixels": torch.full((1, 64, 64, 3), 255, dtype=torch.uint8)}
    values = model.network.image_inputs(white)["pixel_values"]
    assert values.shape == (1, 3, 64, 64)
    mean, std = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    if kind == "siglip":
        mean, std = [0.5] * 3, [0.5] * 3
    np.testing.assert_allclose(values[0, :, 5, 9], (1 - np.array(mean)) / std, rtol=1e-5)
