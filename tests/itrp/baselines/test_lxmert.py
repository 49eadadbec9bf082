from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, LxmertForPreTraining, LxmertModel
from transformers import LxmertConfig as LxmertArchitecture

from itrp.baselines.config import LxmertConfig
from itrp.baselines.stand_ins import DETECTOR, DETECTOR_SIZE
from itrp.baselines.supervised_model import SupervisedModel
from itrp.data.inputs import read_ids
from itrp.errors import DataError, WeightsUnavailableError
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task

SHORT, LONG = "a dog", "the dog that ran over the green meadow saw a cat, a bird and another dog in the garden"
BOTH = (Task.TEXT, Task.IMAGE)


@pytest.fixture
def config(lxmert_folder: Path, detector_file: Path) -> LxmertConfig:
    return LxmertConfig(
        name=str(lxmert_folder),
        detector=DETECTOR,
        detector_weights=str(detector_file),
        detector_size=DETECTOR_SIZE,
        boxes=8,
    )


@pytest.fixture
def model(config: LxmertConfig, make_model: Callable) -> SupervisedModel:
    return make_model(config)


@pytest.fixture
def given(labelled, config: LxmertConfig, tmp_path: Path) -> LxmertConfig:
    """With regions of the labelled pairs' own, as wide as the transformer takes them."""
    ids = [id_ for shard in labelled.shards for id_ in read_ids(shard)]
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.5, size=(len(ids), 8, 2))
    np.savez(
        tmp_path / "regions.npz",
        ids=np.array(ids),
        features=rng.normal(scale=3, size=(len(ids), 8, 256)),
        boxes=np.concatenate((corners, corners + 0.4), axis=2),
    )
    return config.model_copy(update={"regions": str(tmp_path / "regions.npz"), "detector_weights": "gone"})


def test_logits_are_a_linear_layer_over_the_pooled_output(
    model: SupervisedModel, config: LxmertConfig, batch_of: Callable
) -> None:
    """Against transformers' own model, asked for one pair at a time without any padding."""
    network = model.network.eval()
    batch = batch_of(network, [(SHORT, 0), (LONG, 1)])
    reference = LxmertModel.from_pretrained(config.name).eval()
    projection = network.project
    assert (projection.in_features, projection.out_features) == (1024, 256)
    with torch.inference_mode():
        logits = network(batch)
        for row in range(2):
            tokens = int(batch["attention_mask"][row].sum())
            regions = int(batch["region_mask"][row].sum())
            pooled = reference(
                input_ids=batch["input_ids"][row : row + 1, :tokens],
                visual_feats=projection(batch["features"][row : row + 1, :regions]),
                visual_pos=batch["boxes"][row : row + 1, :regions],
            ).pooled_output
            for task in BOTH:
                expected = network.heads[task](pooled)[0]
                torch.testing.assert_close(logits[task][row], expected, atol=1e-5, rtol=0)


def test_padding_has_no_influence(model: SupervisedModel, ask: Callable) -> None:
    alone, beside = ask(model.network, [(SHORT, 0)]), ask(model.network, [(LONG, 1), (SHORT, 0)])
    turned = ask(model.network, [(SHORT, 0), (LONG, 1)])
    for task in BOTH:
        torch.testing.assert_close(beside[task][1], alone[task][0], atol=1e-5, rtol=0)
        torch.testing.assert_close(turned[task].flip(0), beside[task], atol=1e-5, rtol=0)


def test_masked_regions_have_no_influence_and_the_others_have(model: SupervisedModel, batch_of: Callable) -> None:
    network = model.network.eval()
    batch = batch_of(network, [(SHORT, 0)])
    batch["region_mask"] = torch.arange(8)[None] < 5

    def ask_with(name: str, place: int) -> torch.Tensor:
        changed = batch[name].clone()
        changed[0, place] += 1
        with torch.inference_mode():
            return network({**batch, name: changed})[Task.TEXT]

    with torch.inference_mode():
        expected = network(batch)[Task.TEXT]
    for name in ("features", "boxes"):
        torch.testing.assert_close(ask_with(name, 5), expected, atol=0, rtol=0)
        assert not torch.allclose(ask_with(name, 4), expected, atol=1e-5)


def test_regions_of_the_models_own_width_are_not_projected(
    given: LxmertConfig, make_model: Callable, labelled, cache: EmbeddingCache
) -> None:
    network = make_model(given).network
    assert isinstance(network.project, torch.nn.Identity)
    batch = network.collate(network.read(labelled.shards, cache), np.array([25, 3]), torch.device("cpu"))
    stored = np.load(given.regions)
    np.testing.assert_array_equal(batch["features"].numpy(), stored["features"][[25, 3]].astype(np.float16))
    np.testing.assert_allclose(batch["boxes"].numpy(), stored["boxes"][[25, 3]], atol=1e-6)
    assert batch["region_mask"].all()


def test_every_parameter_that_the_pooled_output_stands_on_is_trained(
    model: SupervisedModel, find_untouched: Callable
) -> None:
    """Of the last crossed layer, what only the regions' own states go through reaches no answer; nor is the detector trained."""
    last = "transformer.encoder.x_layers.1"
    parts = {name.removeprefix(last).split(".")[1] for name in find_untouched(model) if name.startswith(last)}
    assert parts == {"visn_self_att", "visn_inter", "visn_output"}
    assert all(name.startswith(last) for name in find_untouched(model))
    assert {name.split(".")[1] for name, _ in model.named_parameters()} == {"transformer", "project", "heads"}


def test_a_folder_gives_the_same_model_again_without_the_detectors_file(
    config: LxmertConfig, detector_file: Path, make_model: Callable, tmp_path: Path, check_round_trip: Callable
) -> None:
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(detector_file.read_bytes())
    model = make_model(config.model_copy(update={"detector_weights": str(moved)}))
    moved.unlink()
    check_round_trip(model)


def test_so_it_does_with_regions_of_ones_own(
    given: LxmertConfig, make_model: Callable, check_round_trip: Callable
) -> None:
    check_round_trip(make_model(given))


def test_pairs_without_given_regions_are_refused(given: LxmertConfig, make_model: Callable, ask: Callable) -> None:
    with pytest.raises(DataError, match="no regions for 1 of 1 pairs, '0' first"):
        ask(make_model(given).network, [(SHORT, 0)])


def test_heads_and_projection_are_drawn_from_the_seed(config: LxmertConfig, make_model: Callable) -> None:
    first, again, other = (make_model(config, seed=seed).network.state_dict() for seed in (0, 0, 1))
    for name in ("project.weight", "heads.text.weight"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_it_learns_32_pairs_by_heart(config: LxmertConfig, check_overfit: Callable) -> None:
    check_overfit(config, steps=40)


def test_a_pretraining_checkpoint_is_read_as_published(
    config: LxmertConfig, lxmert_folder: Path, make_model: Callable, tmp_path: Path
) -> None:
    """The published one holds LxmertForPreTraining: every name under "lxmert.", and heads that are not used."""
    architecture = LxmertArchitecture.from_pretrained(lxmert_folder)
    whole = LxmertForPreTraining(architecture)
    whole.save_pretrained(tmp_path / "whole")
    for file in lxmert_folder.glob("tokenizer*"):
        (tmp_path / "whole" / file.name).write_bytes(file.read_bytes())
    network = make_model(config.model_copy(update={"name": str(tmp_path / "whole")})).network
    for name, tensor in whole.lxmert.state_dict().items():
        assert torch.equal(network.transformer.state_dict()[name], tensor)


def test_weights_that_lack_a_tensor_are_refused(
    config: LxmertConfig, lxmert_folder: Path, damage: Callable, make_model: Callable
) -> None:
    name = "encoder.x_layers.1.visual_attention.att.query.weight"
    damaged = damage(lxmert_folder, name)
    with pytest.raises(WeightsUnavailableError, match=name) as caught:
        make_model(config.model_copy(update={"name": str(damaged)}))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_model_is_refused(
    config: LxmertConfig, lxmert_folder: Path, make_model: Callable, tmp_path: Path
) -> None:
    BertModel(
        BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(tmp_path / "bert")
    for file in lxmert_folder.glob("tokenizer*"):
        (tmp_path / "bert" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsUnavailableError) as caught:
        make_model(config.model_copy(update={"name": str(tmp_path / "bert")}))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_to_be_had_are_named_in_one_line(
    config: LxmertConfig, make_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailableError, match="LXMERT model 'no-such/lxmert' was looked for") as caught:
        make_model(config.model_copy(update={"name": "no-such/lxmert"}))
    assert "\n" not in str(caught.value)
