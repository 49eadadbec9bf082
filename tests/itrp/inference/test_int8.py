"""Encoders in int8: made from some pairs of a shard, tried on others, kept."""

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile, iter_pixels, read_ids, read_texts
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.embeddings import embed_pixels, embed_tokens
from itrp.inference.int8 import CALIBRATED, TRIED, Calibration, _quietly, draw_calibration
from itrp.inference.label_check import AGREEMENT, measure_agreement, settle_runtime
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat

CPU = torch.device("cpu")
installed = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="NNCF is an extra")


def draw_pairs(count: int) -> list[Pair]:
    return [Pair(each.id, each.text, each.image, f"{each.id}{each.suffix}") for each in generate_tweets(count, seed=3)]


@pytest.fixture(scope="module")
def shard(write_shard: Callable[..., ShardFile], tmp_path_factory: pytest.TempPathFactory) -> ShardFile:
    return write_shard(tmp_path_factory.mktemp("shards"), draw_pairs(CALIBRATED + TRIED + 10))


@pytest.fixture(scope="module")
def calibration(shard: ShardFile, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    found = draw_calibration(shard, tmp_path_factory.mktemp("int8"))
    assert found is not None
    return found


def test_no_pair_is_both_calibrated_and_tried_with(shard: ShardFile, calibration: Calibration) -> None:
    ids = read_ids(shard)
    assert read_ids(calibration.pairs) == ids[:CALIBRATED]
    assert read_ids(calibration.trial) == ids[CALIBRATED : CALIBRATED + TRIED]
    assert (calibration.pairs.pairs, calibration.trial.pairs) == (CALIBRATED, TRIED)
    assert calibration.pairs.hash != calibration.trial.hash


def test_equal_shards_give_equal_calibrations(shard: ShardFile, calibration: Calibration, tmp_path: Path) -> None:
    again = draw_calibration(shard, tmp_path)
    assert again is not None
    assert (again.pairs.hash, again.trial.hash, again.name) == (
        calibration.pairs.hash,
        calibration.trial.hash,
        calibration.name,
    )


@pytest.mark.parametrize(("pairs", "shares"), [(1, None), (2, (1, 1)), (41, (16, 25))])
def test_small_shards_are_shared_out(
    write_shard: Callable[..., ShardFile], tmp_path: Path, pairs: int, shares: tuple[int, int] | None
) -> None:
    found = draw_calibration(write_shard(tmp_path, draw_pairs(pairs)), tmp_path)
    assert (found and (found.pairs.pairs, found.trial.pairs)) == shares


@installed
@pytest.mark.e2e
def test_vectors_in_int8_are_close_made_once_and_nothing_is_printed(
    make_config: Callable[..., ExperimentConfig],
    calibration: Calibration,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # our own line is logged; where Prefect was imported by an earlier test, its handler at the root prints it
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])
    model = build_model(make_config("small-text"))
    int8 = Runtime(CPU, "int8", "openvino", calibration)
    rows = model.text.tokenize(read_texts(calibration.trial))[:16]
    pixels = next(iter(iter_pixels(calibration.trial, PixelFormat(64))))[:16]
    for made in (2, 0):
        caplog.clear()
        with caplog.at_level(logging.INFO, "itrp.inference.int8"):
            text, image = prepare_text(model.text, int8), prepare_image(model.image, int8)
        assert [record.message for record in caplog.records] == ["quantising an encoder to int8 with 64 pairs"] * made
        for found, expected in (
            (text.embed(rows), embed_tokens(model.text, rows, CPU, 16)),
            (image.embed(pixels), embed_pixels(model.image, pixels, CPU, 16)),
        ):
            assert 0.8 < correlate(found, expected) < 0.999999
    kept = sorted(path.suffix for path in calibration.folder.iterdir() if path.name.startswith("int8-"))
    assert kept == [".bin", ".bin", ".xml", ".xml"]
    assert capfd.readouterr() == ("", "")


@installed
@pytest.mark.e2e
def test_nncf_is_silenced_for_a_while_and_no_handler_is_touched() -> None:
    import nncf

    handler, before = logging.NullHandler(logging.INFO), nncf.nncf_logger.level
    nncf.nncf_logger.addHandler(handler)
    try:
        with _quietly():
            assert not nncf.nncf_logger.isEnabledFor(logging.WARNING)
            assert handler.level == logging.INFO
    finally:
        nncf.nncf_logger.removeHandler(handler)
    assert nncf.nncf_logger.level == before < logging.WARNING


def correlate(found: np.ndarray, expected: np.ndarray) -> float:
    """Of what tells one pair from another."""
    differs, wanted = found - found.mean(0), expected - expected.mean(0)
    return float((differs * wanted).sum() / np.linalg.norm(differs) / np.linalg.norm(wanted))


@installed
@pytest.mark.e2e
def test_int8_is_tried_on_the_other_pairs_and_what_comes_next_is_taken_where_labels_change(
    make_config: Callable[..., ExperimentConfig],
    calibration: Calibration,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = build_model(make_config("small-text"))
    exact, int8 = exact_runtime(CPU), Runtime(CPU, "int8", "openvino", calibration)
    text = embed_tokens(model.text, model.text.tokenize(read_texts(calibration.trial)), CPU, 16).astype(np.float64)
    for axis, expected in ((0, int8), (-1, exact)):
        # the direction in which the pairs differ most, and one in which they hardly differ
        direction = np.linalg.svd(text - text.mean(0), full_matrices=False)[2][axis]
        along = text @ direction
        cut = np.sort(along)[[TRIED // 2 - 1, TRIED // 2]].mean()
        whole = np.concatenate([direction, np.zeros(model.image.width)])
        model.set_head(np.stack([0 * whole, whole]), np.array([0, -cut]))
        assert (measure_agreement(model, int8).kept >= AGREEMENT) == (expected == int8)
        assert settle_runtime([model], [int8, exact], tmp_path) == expected
    assert (
        f"of the labels that a model gives in fp32 ({TRIED} example pairs): trying cpu, which is slower" in caplog.text
    )
