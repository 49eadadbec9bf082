import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from itrp.baselines.cma_clip import CmaClipNetwork, ModalityAttention
from itrp.baselines.config import CmaClipConfig
from itrp.baselines.supervised_model import SupervisedModel
from itrp.errors import WrongUseError
from itrp.labels import Task

SHORT, LONG = "a dog", "the dog that ran over the green meadow saw a cat, a bird and another dog in the garden"
BOTH = (Task.TEXT, Task.IMAGE)


@pytest.fixture
def config(clip_folder: Path) -> CmaClipConfig:
    return CmaClipConfig(name=str(clip_folder))


@pytest.fixture
def model(config: CmaClipConfig, make_model: Callable) -> SupervisedModel:
    """As drawn, but each task prefers a modality of its own: fresh attention weighs both by one half."""
    model = make_model(config)
    generator = torch.Generator().manual_seed(0)
    for attention in model.network.attention.values():
        attention.scores.data.normal_(std=0.3, generator=generator)
    return model


def pool(network: CmaClipNetwork, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        return network.pool(batch)


def test_modality_attention_by_hand() -> None:
    attention = ModalityAttention(2)
    attention.scores.data = torch.tensor([[math.log(3), 0], [0, 5]])
    vectors = torch.tensor([[[1.0, 0], [4, 0]], [[0, 8], [2, 0]]])
    # scores of text and picture: (ln 3, 0) for the first pair, (0, 0) for the second
    torch.testing.assert_close(attention.weigh(vectors), torch.tensor([[0.75, 0.25], [0.5, 0.5]]))
    torch.testing.assert_close(attention(vectors), torch.tensor([[0.75 * 1 + 0.25 * 4, 0], [1, 4]]))


def weigh_modalities(network: CmaClipNetwork, batch: dict[str, torch.Tensor]) -> dict[Task, torch.Tensor]:
    """How much each task looks at the text and at the picture: [b, 2] of each task."""
    vectors = network.pool(batch)
    return {task: network.attention[task].weigh(vectors) for task in network.tasks}


def test_modality_weights_sum_to_one_and_are_the_tasks_own(model: SupervisedModel, batch_of: Callable) -> None:
    network = model.network.eval()
    with torch.no_grad():
        weights = weigh_modalities(network, batch_of(network, [(SHORT, 0), (LONG, 1), ("stocks fell", 2)]))
    assert set(weights) == set(BOTH)
    for values in weights.values():
        assert values.shape == (3, 2)
        assert values.min() > 0
        torch.testing.assert_close(values.sum(dim=1), torch.ones(3))
        assert values[:, 0].std() > 1e-3  # by pair
    assert (weights[Task.TEXT] - weights[Task.IMAGE]).abs().min() > 1e-3


def test_fresh_attention_weighs_both_modalities_equally(
    config: CmaClipConfig, make_model: Callable, batch_of: Callable
) -> None:
    network = make_model(config).network.eval()
    with torch.no_grad():
        weights = weigh_modalities(network, batch_of(network, [(SHORT, 0)]))
    assert all(torch.equal(values, torch.full((1, 2), 0.5)) for values in weights.values())


def test_attention_and_mlp_of_one_task_leave_the_other_alone(model: SupervisedModel, ask: Callable) -> None:
    before = ask(model.network, [(SHORT, 0)])
    model.network.attention["image"].scores.data.mul_(-3)
    attended = ask(model.network, [(SHORT, 0)])
    model.network.mlps["text"][0].weight.data.mul_(-1)
    after = ask(model.network, [(SHORT, 0)])
    assert torch.equal(attended[Task.TEXT], before[Task.TEXT])
    assert not torch.equal(attended[Task.IMAGE], before[Task.IMAGE])
    assert torch.equal(after[Task.IMAGE], attended[Task.IMAGE])
    assert not torch.equal(after[Task.TEXT], attended[Task.TEXT])


def test_padding_has_no_influence(model: SupervisedModel, ask: Callable, batch_of: Callable) -> None:
    alone, beside = ask(model.network, [(SHORT, 0)]), ask(model.network, [(LONG, 1), (SHORT, 0)])
    other_text, other_picture = ask(model.network, [(LONG, 0)]), ask(model.network, [(SHORT, 1)])
    for task in BOTH:
        torch.testing.assert_close(beside[task][1], alone[task][0], atol=1e-5, rtol=0)
        assert not torch.allclose(other_text[task], alone[task], atol=1e-4)
        assert not torch.allclose(other_picture[task], alone[task], atol=1e-4)
    batch = batch_of(model.network, [(LONG, 1), (SHORT, 0)])
    expected = pool(model.network, batch)
    batch["input_ids"][1, 4:] = 2000  # what stands in the masked places
    torch.testing.assert_close(pool(model.network, batch), expected)


def test_each_modality_is_read_with_the_other_in_view(model: SupervisedModel, batch_of: Callable) -> None:
    """The picture's vector depends on the text, the text's on a single patch."""
    batch = batch_of(model.network, [(SHORT, 0), ("a cat", 0), (SHORT, 0)])
    batch["pixels"][2, 48:, 48:] = 0  # the last of 16 patches
    vectors = pool(model.network, batch)
    assert vectors.shape == (3, 2, 64)
    text, image = vectors.unbind(dim=1)
    assert (image[1] - image[0]).abs().max() > 1e-3
    assert (text[2] - text[0]).abs().max() > 1e-3


def test_with_no_sequence_wise_attention_the_pooled_vectors_are_clips_own(
    model: SupervisedModel, config: CmaClipConfig, batch_of: Callable
) -> None:
    """The places pooled are the class token and the end token: where CLIP itself reads its embeddings off."""
    network = model.network
    network.layers = torch.nn.ModuleList()
    network.norm, network.last_norm = torch.nn.Identity(), torch.nn.Identity()
    network.modalities.data.zero_()
    batch = batch_of(network, [(SHORT, 0), (LONG, 1)])
    reference = AutoModel.from_pretrained(config.name).eval()
    with torch.inference_mode():
        text = reference.get_text_features(batch["input_ids"], batch["attention_mask"]).pooler_output
        image = reference.get_image_features(network.image_inputs(batch)["pixel_values"]).pooler_output
    torch.testing.assert_close(pool(network, batch), torch.stack((text, image), dim=1), atol=1e-5, rtol=0)


def test_the_modality_embedding_tells_text_from_picture(model: SupervisedModel, batch_of: Callable) -> None:
    batch = batch_of(model.network, [(SHORT, 0)])
    before = pool(model.network, batch)
    model.network.modalities.data = model.network.modalities.data.flip(0)
    assert (pool(model.network, batch) - before).abs().max() > 1e-3


def test_the_layers_are_drawn_apart(model: SupervisedModel) -> None:
    first, second = (layer.linear1.weight for layer in model.network.layers)
    assert not torch.equal(first, second)


def test_everything_but_the_contrastive_scale_is_trained(model: SupervisedModel, find_untouched: Callable) -> None:
    assert find_untouched(model) == ["encoder.model.logit_scale"]


def test_a_folder_gives_the_same_model_again(model: SupervisedModel, check_round_trip: Callable) -> None:
    check_round_trip(model)


def test_it_learns_32_pairs_by_heart(config: CmaClipConfig, check_overfit: Callable) -> None:
    check_overfit(config, steps=20)


def test_weights_that_lack_a_tensor_are_refused(
    config: CmaClipConfig, damage: Callable, explain_refusal: Callable
) -> None:
    damaged = damage(Path(config.name), "visual_projection.weight")
    message = explain_refusal(CmaClipConfig(name=str(damaged)))
    assert "lack 1 tensors of CLIPModel" in message
    assert "'visual_projection.weight' first" in message


def test_weights_that_are_not_to_be_had_are_named(explain_refusal: Callable) -> None:
    assert "'no-such/clip' was looked for as a local folder" in explain_refusal(CmaClipConfig(name="no-such/clip"))


def test_siglip_has_no_class_token_and_is_refused(siglip_folder: Path, explain_refusal: Callable) -> None:
    message = explain_refusal(CmaClipConfig(name=str(siglip_folder)))
    assert f"expected a CLIPModel, found {str(siglip_folder)!r}, a SiglipModel" in message


def test_heads_that_do_not_divide_the_width_are_refused(config: CmaClipConfig, make_model: Callable) -> None:
    with pytest.raises(WrongUseError, match=r"network.heads: expected a divisor of the encoder's width 64, found 5"):
        make_model(config.model_copy(update={"heads": 5}))


def test_the_stand_in_reads_words(config: CmaClipConfig) -> None:
    assert len(AutoTokenizer.from_pretrained(config.name).tokenize("dogs on the beach")) == 4
