"""The aligned model of a dual encoder: trained, saved with all it needs, restored without network, asked for shards."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.alignment.config import DualAlignedConfig
from itrp.alignment.gate import area
from itrp.baselines.stand_ins import write_clip
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.rejections import RejectedError
from itrp.data.set_aside import read_set_aside
from itrp.errors import DataError, WeightsUnavailableError
from itrp.inference.dual_vectors import read_dual_vectors
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import embed_shard, predict_pairs, predict_shard, predict_shards
from itrp.models.dual_aligned_model import DualAlignedModel, build_dual_aligned_model
from itrp.systems import load_system, predicted_task
from itrp.training.alignment import AlignmentResult, build_untrained, train_aligned
from tests.matching_clip import Told, draw_pairs, write_matching_clip
from tests.poison import palette_without_colours

CPU = torch.device("cpu")
PAIRS, MATCHING = 160, 0.7


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matching_clip(tmp_path_factory.mktemp("matching") / "clip")


@pytest.fixture(scope="module")
def told() -> list[Told]:
    return draw_pairs(PAIRS, seed=3, matching=MATCHING)


@pytest.fixture(scope="module")
def pairs(
    told: list[Told], write_shard: Callable[..., ShardFile], tmp_path_factory: pytest.TempPathFactory
) -> list[ShardFile]:
    folder = tmp_path_factory.mktemp("pairs")
    drawn = [each.pair for each in told]
    return [write_shard(folder, drawn[:100]), write_shard(folder, drawn[100:])]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingCache:
    return EmbeddingCache(tmp_path_factory.mktemp("cache"), CPU)


Trained = tuple[DualAlignedModel, AlignmentResult]


@pytest.fixture(scope="module")
def trained(clip: Path, pairs: list[ShardFile], cache: EmbeddingCache) -> Trained:
    model = build_untrained(DualAlignedConfig(name="clip-aligned", dual_encoder=str(clip)))
    assert isinstance(model, DualAlignedModel)
    return model, train_aligned(model, pairs, cache)


def refuse(*arguments: object, **settings: object) -> None:
    raise AssertionError("something was to be fetched")


def test_a_dual_encoder_that_knows_what_matches_names_its_classes(
    trained: Trained, pairs: list[ShardFile], cache: EmbeddingCache, told: list[Told]
) -> None:
    model, result = trained
    matches = np.array([each.matches for each in told])
    assert (result.pairs, result.named, result.mapping, result.findings()) == (PAIRS, True, (0, 1), [])
    assert dict(result.figures())["gate_auc"] == result.fitted.area > 0.7
    found = predict_shards(model, pairs, cache)[:, 1]
    assert area(found[matches], found[~matches]) > 0.9
    assert ((found > 0.5) == matches).mean() > 0.85
    assert predicted_task(model) == "text"


def test_a_dual_encoder_that_knows_nothing_gets_no_names(
    pairs: list[ShardFile], cache: EmbeddingCache, tmp_path: Path
) -> None:
    config = DualAlignedConfig(name="clip-aligned", dual_encoder=str(write_clip(tmp_path / "clip", 1)))
    result = train_aligned(build_untrained(config), pairs, cache)
    assert (result.named, result.mapping) == (False, None)
    (finding,) = result.findings()
    assert finding.code == "weak-alignment"
    assert "take a dual encoder that knows the tweets' language" in str(finding)
    assert "dual_encoder=FOLDER_OR_HUB_ID" in str(finding)


def test_a_saved_model_is_whole_and_nothing_is_fetched(
    trained: Trained, pairs: list[ShardFile], cache: EmbeddingCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = trained
    model.save(tmp_path / "model", (0, 1), {"round": 1})
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in (model.config.dual_encoder, "/nowhere/else"):  # the folder it came from may be gone
        text = (tmp_path / "model/model.json").read_text().replace(model.config.dual_encoder, name)
        (tmp_path / "model/model.json").write_text(text)
        again, mapping = load_system(tmp_path / "model")
        assert isinstance(again, DualAlignedModel)
        assert (mapping, again.config.dual_encoder) == ((0, 1), name)
        assert again.fingerprint == model.fingerprint
        np.testing.assert_array_equal(predict_shards(again, pairs, cache), predict_shards(model, pairs, cache))
        own = EmbeddingCache(tmp_path / "own", CPU)
        np.testing.assert_allclose(predict_shards(again, pairs, own), predict_shards(model, pairs, cache), atol=1e-5)


def test_tensors_of_another_model_are_not_taken(trained: Trained, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    trained[0].save(tmp_path / "model", None, {"round": 1})
    weights = tmp_path / "model/weights.safetensors"
    state = load_file(weights)
    state.pop("encoder.model.logit_scale")
    save_file(state, weights)
    with pytest.raises(DataError, match=r"expected in .*weights.safetensors the tensors that model.json describes"):
        load_system(tmp_path / "model")


def test_an_encoder_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsUnavailableError, match="the dual encoder '/no/such/folder' was looked for"):
        build_dual_aligned_model(DualAlignedConfig(name="x", dual_encoder="/no/such/folder"))


def test_vectors_are_kept_and_serve_the_next_version(
    trained: Trained, clip: Path, pairs: list[ShardFile], cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the encoder's fingerprint: neither the aligner nor the seed is in it."""
    model, _ = trained
    kept = {path.relative_to(cache.folder).as_posix() for path in cache.folder.rglob("*.npy")}
    sides = {
        f"vectors-{model.fingerprint}-{side}-cpu/{shard.hash}.npy" for side in ("texts", "images") for shard in pairs
    }
    assert sides <= kept
    other = build_dual_aligned_model(DualAlignedConfig(name="other", dual_encoder=str(clip), seed=5))
    monkeypatch.setattr(type(other.encoder), "encode_texts", refuse)
    monkeypatch.setattr(type(other.encoder), "encode_images", refuse)
    counted: list[int] = []
    for (text, image), shard in zip(read_dual_vectors(other, pairs, cache, counted.append), pairs, strict=True):
        assert text.shape == image.shape == (shard.pairs, other.encoder.width)
        np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)
    assert sum(counted) == 2 * PAIRS
    train_aligned(other, pairs, cache)


def test_an_image_that_does_not_decode_is_set_aside(
    trained: Trained, told: list[Told], write_shard: Callable[..., ShardFile], tmp_path: Path
) -> None:
    drawn = [each.pair for each in told[:50]]
    whole = write_shard(tmp_path, drawn)
    drawn[5] = Pair("poison", "some words", palette_without_colours(), "p.png")
    bad = write_shard(tmp_path, drawn)
    model, _ = trained
    cache = EmbeddingCache(tmp_path / "cache", CPU)
    (_, images), (_, expected) = (embed_shard(model, shard, cache) for shard in (bad, whole))
    (aside,) = read_set_aside(bad.hash, cache.folder) or ()
    assert (aside.row, aside.code.startswith("image_")) == (5, True)
    assert read_set_aside(whole.hash, cache.folder) == ()
    np.testing.assert_allclose(np.delete(images, 5, 0), np.delete(expected, 5, 0), atol=1e-5)
    assert np.isfinite(predict_shard(model, bad, cache)).all()
    again = DualAlignedModel(model.config, model.encoder, model.aligner)
    assert train_aligned(again, [bad], cache).pairs == 49
    with pytest.raises(RejectedError, match="the image in row 1"):
        predict_pairs(model, ["a", "b"], [drawn[0].image, drawn[5].image], CPU)


def test_one_pair_in_memory_is_judged(trained: Trained, told: list[Told]) -> None:
    """Against the partners that were stored."""
    shown = [each.pair for each in told if each.matches][:20]
    fitting = [predict_pairs(trained[0], [each.text], [each.image], CPU)[0, 1] for each in shown]
    swapped = [
        predict_pairs(trained[0], [each.text], [other.image], CPU)[0, 1]
        for each, other in zip(shown, shown[1:] + shown[:1], strict=True)
    ]
    assert area(np.array(fitting), np.array(swapped)) > 0.9
