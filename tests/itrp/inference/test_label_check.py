"""The check before a quick runtime labels anything."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from itrp.config import ExperimentConfig
from itrp.data.images import load_pixels
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.data.texts import check_text
from itrp.errors import DataError
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.examples import FEWEST, SEED
from itrp.inference.label_check import (
    EXAMPLES,
    measure_agreement,
    predict_examples,
    settle_runtime,
    share_kept,
)
from itrp.inference.made_up_pairs import make_up_pairs
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.pixel_format import PixelFormat

CPU = torch.device("cpu")
EXACT, QUICK = exact_runtime(CPU), Runtime(CPU, "bf16")


@pytest.fixture
def model(make_config: Callable[..., ExperimentConfig]) -> ItrpModel:
    """Its head speaks for cluster 1 where the picture's first principal component is positive: decided, and not one-sided."""
    model = build_model(make_config("small-text"))
    image = embed_examples(model)[:, model.text.width :]
    main = np.linalg.svd(image - image.mean(0), full_matrices=False)[2][0]
    set_direction(model, np.concatenate([np.zeros(model.text.width), main]))
    return model


def embed_examples(model: ItrpModel) -> np.ndarray:
    """[EXAMPLES, d] fused vectors in fp32."""
    pairs = make_up_pairs(model.text.tokenizer, EXAMPLES, SEED)
    pixels = np.stack([load_pixels(pair.image, PixelFormat(64)) for pair in pairs])
    text, image = prepare_text(model.text, EXACT), prepare_image(model.image, EXACT)
    words = text.embed(text.tokenize([pair.text for pair in pairs]))
    return np.concatenate([words, image.embed(pixels)], axis=1).astype(np.float64)


def set_direction(model: ItrpModel, direction: np.ndarray) -> None:
    """Cluster 1 on one side of the examples' median along it."""
    along = embed_examples(model) @ direction
    scale = 10 / max(along.std(), 1e-9)
    model.set_head(np.stack([0 * direction, scale * direction]), np.array([0, -scale * np.median(along)]))


def test_shares_by_hand() -> None:
    expected = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
    assert share_kept(expected, expected) == 1
    assert share_kept(expected, expected[:, ::-1]) == 0
    assert share_kept(expected, np.array([[0.8, 0.2], [0.2, 0.8], [0.4, 0.6], [0.4, 0.6]])) == 0.75
    assert share_kept(expected, np.full((4, 2), np.nan)) == 0  # though argmax would say 0 four times


def test_a_decided_model_keeps_its_labels(model: ItrpModel, tmp_path: Path) -> None:
    assert measure_agreement(model, EXACT) == (1, EXAMPLES)
    assert measure_agreement(model, QUICK).kept >= 0.97
    (tmp_path / "checks").mkdir()
    assert settle_runtime([model], [EXACT], tmp_path / "checks") == EXACT
    assert list((tmp_path / "checks").iterdir()) == []  # nothing had to be tried


def test_a_model_that_reads_what_bf16_rounds_away_stays_in_fp32(
    model: ItrpModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = embed_examples(model)
    centred = features - features.mean(0)
    assert features.shape[1] > EXAMPLES  # so there are directions in which the examples do not differ at all
    direction = np.linalg.svd(centred, full_matrices=True)[2][-1]
    set_direction(model, direction)
    with caplog.at_level(logging.WARNING):
        assert settle_runtime([model], [QUICK], tmp_path) == EXACT
    assert "of the labels that a model gives in fp32" in caplog.text


def test_a_verdict_is_measured_once_for_model_and_runtime(
    model: ItrpModel, tmp_path: Path, make_config: Callable[..., ExperimentConfig]
) -> None:
    settle_runtime([model], [QUICK], tmp_path)
    (verdict,) = tmp_path.iterdir()
    told = json.loads(verdict.read_text())
    assert told["runtime"] == "cpu-bf16"
    for kept, expected in ((1.0, QUICK), (0.98, EXACT)):
        verdict.write_text(json.dumps({**told, "kept": kept}))
        assert settle_runtime([model], [QUICK], tmp_path) == expected
    assert len(list(tmp_path.iterdir())) == 1
    model.reset_head(5)  # another model
    settle_runtime([model], [QUICK], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_made_up_pairs_are_the_same_for_the_same_seed_and_all_different(model: ItrpModel) -> None:
    pairs, again = (make_up_pairs(model.text.tokenizer, 20, SEED) for _ in range(2))
    assert pairs == again
    assert pairs != make_up_pairs(model.text.tokenizer, 20, SEED + 1)
    assert len({pair.text for pair in pairs}) == len({pair.image for pair in pairs}) == 20
    pixels = np.stack([load_pixels(pair.image, PixelFormat(64)) for pair in pairs])
    assert pixels.std(axis=(1, 2, 3)).min() > 5
    assert all(check_text(pair.text) == pair.text for pair in pairs)


def test_the_models_own_examples_are_tried_where_there_are_enough(model: ItrpModel, tmp_path: Path) -> None:
    def find_own(size: int) -> ShardFile:
        data = encode_shard([Pair(str(row), f"own {row}", _plain_image(row), f"{row}.png") for row in range(size)])
        (tmp_path / f"{size}.parquet").write_bytes(data)
        return ShardFile(shard_hash(data), tmp_path / f"{size}.parquet", size)

    own, some, few = find_own(EXAMPLES + 1), find_own(FEWEST), find_own(FEWEST - 1)
    by_hand = share_kept(*(predict_examples(model, runtime, own) for runtime in (EXACT, QUICK)))
    found = measure_agreement(model, QUICK, lambda: own)
    assert found.examples == EXAMPLES
    assert found.kept == pytest.approx(by_hand, abs=0.011)  # by hand one pair more
    assert measure_agreement(model, QUICK, lambda: some).examples == FEWEST
    own.path.unlink()
    with pytest.raises(DataError, match="expected a shard at"):  # it is these that are read
        measure_agreement(model, QUICK, lambda: own)
    few.path.unlink()
    assert measure_agreement(model, QUICK, lambda: few) == measure_agreement(model, QUICK)
    settle_runtime([model], [QUICK], tmp_path / "checks")
    settle_runtime([model], [QUICK], tmp_path / "checks", lambda: pytest.fail("a verdict is there"))


def _plain_image(row: int) -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (64, 48), (row, 2 * row, 255 - row)).save(image, "PNG")
    return image.getvalue()
