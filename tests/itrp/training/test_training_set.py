from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig, override
from itrp.data.images import load_pixels
from itrp.data.inputs import Rows, ShardFile
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache, embed_pixels, embed_tokens
from itrp.labels import Task
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat
from itrp.training.device_cache import DeviceRows, DeviceTokens, bring_rows, bring_tokens, fits
from itrp.training.training_set import TEXTS_TOGETHER, cut_subsets, limit_shards, prepare_training_set

PLAIN = ExperimentConfig(name="plain", task=Task.TEXT)
CPU = torch.device("cpu")


def cut(available: int, *assignments: str) -> list[list[int]]:
    return [rows.tolist() for rows in cut_subsets(override(PLAIN, assignments), available)]


def test_sizes_that_divide_give_the_references_cut() -> None:
    subsets = cut(100_000)
    assert len(subsets) == 20
    for place, rows in enumerate(subsets):
        assert rows == list(range(5000 * place, 5000 * place + 5000))


def test_a_remainder_is_spread_and_no_pair_is_lost() -> None:
    assert cut(11, "subset_size=3") == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_fewer_pairs_than_a_subset_are_one_subset() -> None:
    assert cut(4) == [[0, 1, 2, 3]]
    assert cut(2) == [[0, 1]]


def test_the_first_pairs_are_taken() -> None:
    assert cut(100, "pairs=4", "subset_size=2") == [[0, 1], [2, 3]]
    assert cut(4, "pairs=100", "subset_size=2") == [[0, 1], [2, 3]]


def test_shuffling_is_the_same_for_every_seed_and_stays_within_the_pairs() -> None:
    one = cut(100, "pairs=40", "subset_size=20", "shuffle=true", "seed=1")
    assert cut(100, "pairs=40", "subset_size=20", "shuffle=true", "seed=2") == one
    assert sorted(one[0] + one[1]) == list(range(40))
    assert one[0] != sorted(one[0])


@pytest.mark.parametrize(
    ("available", "assignments", "needed"),
    [(0, [], 2), (1, [], 2), (3, ["task=image-text", "k=4"], 4)],
)
def test_fewer_pairs_than_clusters_are_refused(available: int, assignments: list[str], needed: int) -> None:
    with pytest.raises(DataError, match=f"training needs at least {needed} pairs, found {available}: ingest more"):
        cut(available, *assignments)


@pytest.mark.parametrize(("pairs", "count"), [(None, 3), (1, 1), (30, 1), (31, 2), (50, 2), (51, 3), (1000, 3)])
def test_shards_are_taken_until_the_pairs_are_there(pairs: int | None, count: int) -> None:
    shards = [ShardFile(name, Path(name), size) for name, size in (("a", 30), ("b", 20), ("c", 10))]
    assert limit_shards(shards, pairs) == shards[:count]


@pytest.mark.parametrize("on_device", [None, True], ids=["where it belongs", "on the device"])
@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_rows_run_across_the_shards(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tweets: list[SyntheticTweet],
    tmp_path: Path,
    experiment: str,
    on_device: bool | None,
) -> None:
    model = build_model(make_config(experiment)).eval()
    data = prepare_training_set(model, shards, EmbeddingCache(tmp_path, CPU, 4), on_device=on_device)
    held = (data.tokens, data.text_vectors, data.pixels, data.image_vectors)
    assert sum(isinstance(each, DeviceTokens | DeviceRows) for each in held) == (2 if on_device else 0)
    rows = np.array([59, 0, 33, 34, 35, 0])
    text = embed_tokens(model.text, model.text.tokenize([tweets[row].text for row in rows]), CPU, 1)
    image = embed_pixels(
        model.image, np.stack([load_pixels(tweets[row].image, PixelFormat(64)) for row in rows]), CPU, 6
    )
    np.testing.assert_allclose(data.embed_text(rows), text, atol=1e-5)
    np.testing.assert_allclose(data.embed_image(rows), image, atol=1e-4 * np.abs(image).max())
    np.testing.assert_allclose(data.text_batch(rows).detach(), text, atol=1e-5)
    np.testing.assert_allclose(data.image_batch(rows).detach(), image, atol=1e-4 * np.abs(image).max())
    assert data.text_batch(rows).requires_grad == (experiment == "small-text")
    assert data.image_batch(rows).requires_grad == (experiment == "small-image")


def test_texts_padded_by_length_give_the_batchs_vectors_and_gradients(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    model = build_model(make_config("small-text")).eval()  # no dropout: it is drawn batch by batch
    data = prepare_training_set(model, shards, EmbeddingCache(tmp_path, CPU, 4))
    assert isinstance(data.tokens, list)
    rows = np.random.default_rng(0).permutation(60)[: 2 * TEXTS_TOGETHER + 3]
    assert len({len(data.tokens[row]) for row in rows}) > 3
    weights = torch.randn(model.text.width, generator=torch.Generator().manual_seed(0))
    found, gradients = [], []
    for vectors in (
        data.text_batch(rows),
        model.text(*model.text.collate([data.tokens[row] for row in rows], CPU)),
    ):
        model.zero_grad()
        (vectors.tanh() @ weights * torch.arange(len(rows))).sum().backward()
        found.append(vectors.detach())
        gradients.append({name: weight.grad for name, weight in model.text.named_parameters()})
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


def test_resident_batches_are_as_wide_as_they_must_be() -> None:
    rows = [np.arange(1, length + 1, dtype=np.int32) for length in (3, 9, 8, 20)]
    tokens = bring_tokens(rows, 0, CPU)
    for chosen, width in (([0], 8), ([2, 0], 8), ([1], 16), ([3, 0], 20)):  # 24 would be wider than the longest text
        numbers, mask = tokens.take(np.array(chosen))
        assert numbers.shape == mask.shape == (len(chosen), width)
        for place, row in enumerate(chosen):
            assert numbers[place][mask[place].bool()].tolist() == rows[row].tolist()
            assert mask[place].tolist() == [1] * len(rows[row]) + [0] * (width - len(rows[row]))


def test_maps_come_to_the_device_whole_and_part_by_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("itrp.training.device_cache.COPIED_ROWS", 4)
    values = np.random.default_rng(0).integers(256, size=(15, 2, 3), dtype=np.uint8)
    parts = []
    for name, part in (("a", values[:9]), ("b", values[9:9]), ("c", values[9:])):
        np.save(tmp_path / f"{name}.npy", part)
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    brought = bring_rows(Rows(parts), CPU)
    assert brought.values.dtype == torch.uint8
    np.testing.assert_array_equal(brought.values, values)
    np.testing.assert_array_equal(brought.take(np.array([14, 0, 9, 9])), values[[14, 0, 9, 9]])


def test_a_cpu_keeps_its_memory_maps() -> None:
    assert not fits(Rows([np.zeros((1, 1))]), CPU)


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.e2e)])
def test_a_compiled_step_has_the_encoders_gradients(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    experiment: str,
) -> None:
    """Captured and differentiated, which takes seconds; then turned into machine code too, which takes a compiler minutes."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    captured = torch._dynamo.utils.counters["frames"]
    captured.clear()
    config = make_config(experiment)
    gradients = []
    for compiled in (False, True):
        model = build_model(config).eval()  # without dropout
        data = prepare_training_set(model, shards, EmbeddingCache(tmp_path, CPU, 8), compiled=compiled)
        model.classify(data.text_batch(np.arange(8)), data.image_batch(np.arange(8))).square().sum().backward()
        gradients.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    assert captured["ok"] > 0
    plain, graphed = gradients
    assert plain.keys() == graphed.keys()
    assert len(plain) > 20
    for name, gradient in plain.items():
        np.testing.assert_allclose(graphed[name], gradient, atol=1e-4 * float(gradient.abs().max()) + 1e-6)
