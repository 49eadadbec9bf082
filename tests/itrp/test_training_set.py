from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig, override
from itrp.datasets.synthetic import SyntheticTweet
from itrp.embeddings import EmbeddingCache, embed_pixels, embed_tokens
from itrp.errors import DataError
from itrp.images import load_pixels
from itrp.inputs import ShardFile
from itrp.labels import Task
from itrp.model import build_model
from itrp.training_set import cut_subsets, limit_shards, prepare_training_set

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


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_rows_run_across_the_shards(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tweets: list[SyntheticTweet],
    tmp_path: Path,
    experiment: str,
) -> None:
    model = build_model(make_config(experiment)).eval()
    data = prepare_training_set(model, shards, EmbeddingCache(tmp_path, CPU, 7))
    rows = np.array([59, 0, 33, 34, 35, 0])
    text = embed_tokens(model.text, model.text.tokenize([tweets[row].text for row in rows]), CPU, 1)
    image = embed_pixels(model.image, np.stack([load_pixels(tweets[row].image, 64) for row in rows]), CPU, 6)
    np.testing.assert_allclose(data.embed_text(rows), text, atol=1e-5)
    np.testing.assert_allclose(data.embed_image(rows), image, atol=1e-5)
    np.testing.assert_allclose(data.text_batch(rows).detach(), text, atol=1e-5)
    np.testing.assert_allclose(data.image_batch(rows).detach(), image, atol=1e-5)
    assert data.text_batch(rows).requires_grad == (experiment == "small-text")
    assert data.image_batch(rows).requires_grad == (experiment == "small-image")
