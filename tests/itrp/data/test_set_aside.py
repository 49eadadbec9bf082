"""A picture that cannot be decoded: its row is set aside with a reason, and the others are what they would be without it."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.annotations import Annotations, select_set
from itrp.data.inputs import ShardFile, cache_pixels, find_set_aside, iter_pixels
from itrp.data.pairs import Pair
from itrp.data.rejections import REASONS, RejectedError
from itrp.data.set_aside import SetAside, explain_row, keep_set_aside, read_set_aside
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_pairs
from itrp.labels import UNLABELLED, Task
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat
from itrp.training.trainer import Trainer
from tests.poison import palette_without_colours

SMALL = PixelFormat(32)
CPU = torch.device("cpu")
BAD = 5


@pytest.fixture
def bad(tweets: list[SyntheticTweet], write_shard: Callable[..., ShardFile], tmp_path: Path) -> ShardFile:
    """30 tweets, of which one has a picture that no decoder reads."""
    pairs = [Pair(tweet.id, tweet.text, tweet.image, "a.png") for tweet in tweets[:30]]
    pairs[BAD] = Pair("poison", "some words", palette_without_colours(), "p.png")
    return write_shard(tmp_path, pairs)


def test_the_row_is_found_and_the_others_are_decoded(bad: ShardFile, shards: list[ShardFile], tmp_path: Path) -> None:
    found: list[SetAside] = []
    (pixels,) = iter_pixels(bad, SMALL, found)
    (only,) = found
    assert only.row == BAD
    assert only.code in REASONS
    assert only.reason.startswith("expected ")
    assert not pixels[BAD].any()
    (whole,) = iter_pixels(shards[0], SMALL)
    np.testing.assert_array_equal(np.delete(pixels, BAD, 0), np.delete(whole[:30], BAD, 0))


def test_nobody_who_cannot_pass_over_it_goes_on(bad: ShardFile) -> None:
    with pytest.raises(
        RejectedError, match=rf"the image of tweet poison \(row 5 of shard {bad.hash[:12]}\): expected "
    ):
        list(iter_pixels(bad, SMALL))


def test_what_is_set_aside_is_known_before_anything_is_kept(bad: ShardFile, tmp_path: Path) -> None:
    assert read_set_aside(bad.hash, tmp_path) is None
    cache_pixels(bad, SMALL, tmp_path)
    known = read_set_aside(bad.hash, tmp_path)
    assert known is not None
    assert [each.row for each in known] == [BAD]
    assert find_set_aside(bad, tmp_path / "elsewhere") == known
    assert read_set_aside(bad.hash, tmp_path / "elsewhere") == known


def test_a_clean_shard_is_asked_once(shards: list[ShardFile], tmp_path: Path) -> None:
    assert find_set_aside(shards[1], tmp_path) == ()
    gone = ShardFile(shards[1].hash, tmp_path / "gone.parquet", shards[1].pairs)
    assert find_set_aside(gone, tmp_path) == ()


def test_rows_of_two_formats_are_joined_and_the_first_reason_stays(tmp_path: Path) -> None:
    first, second = SetAside(3, "image_truncated", "expected a"), SetAside(1, "image_not_a_picture", "expected b")
    keep_set_aside("a", [first], tmp_path)
    keep_set_aside("a", [second, SetAside(3, "image_not_a_picture", "expected c")], tmp_path)
    assert read_set_aside("a", tmp_path) == (second, first)
    keep_set_aside("a", [], tmp_path)
    assert read_set_aside("a", tmp_path) == (second, first)


@pytest.mark.parametrize("error", [AssertionError(), KeyError("PLTE"), OSError("a\0b\nc" + "x" * 2000)])
def test_a_decoder_may_raise_anything(error: Exception) -> None:
    row = explain_row(7, error)
    assert (row.row, row.code) == (7, "image_not_a_picture")
    assert row.reason.startswith(f"expected a picture that decodes, its decoder failed: {type(error).__name__}")
    assert len(row.reason) <= 1000
    assert row.reason.isprintable()


def test_a_person_who_asks_about_such_a_picture_is_refused(make_config: Callable[..., ExperimentConfig]) -> None:
    model = build_model(make_config("small-text"))
    with pytest.raises(RejectedError, match="the image in row 0: expected "):
        predict_pairs(model, ["words"], [palette_without_colours()], CPU)


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_training_learns_nothing_from_it_and_says_so(
    bad: ShardFile,
    make_config: Callable[..., ExperimentConfig],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    experiment: str,
) -> None:
    """One side frozen (vectors), the other fine-tuned (pixels): the same rows are left out."""
    model = build_model(make_config(experiment))
    trainer = Trainer(model, [bad], cache=EmbeddingCache(tmp_path / "cache", CPU), checkpoints=tmp_path / "rounds")
    with caplog.at_level(logging.WARNING):
        results = list(trainer.run())
    assert sum(result.pairs for result in results) == 29
    assert all(BAD not in rows for rows in trainer.subsets)
    told = rf"leaving out 1 of 30 pairs whose images cannot be decoded; first: {results and 'image_'}"
    assert told in caplog.text
    assert f"tweet poison (row {BAD} of shard {bad.hash[:12]})" in caplog.text


def test_labels_of_such_rows_are_looked_at_by_nobody() -> None:
    ones = np.ones(4, dtype=np.int64)
    split = np.array(["train", "test", "train", "test"])
    plain = Annotations(np.array(list("abcd")), split, ones, ones, np.zeros(4, bool), ones, ones)
    left = plain.set_aside(np.array([2, 3]))
    assert plain.split.tolist() == split.tolist()
    assert np.flatnonzero(left.split == "train").tolist() == [0]
    assert select_set(left, Task.TEXT, "raw")[0].tolist() == [1]
    assert left.labels(Task.IMAGE)[2:].tolist() == [UNLABELLED, UNLABELLED]
    with pytest.raises(DataError, match="no labelled pair"):
        select_set(plain.set_aside(np.array([1, 3])), Task.TEXT, "raw")
    assert plain.set_aside(np.array([], dtype=np.intp)) is plain
