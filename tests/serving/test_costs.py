"""What systems cost: one measurement for all that share their encoders."""

from pathlib import Path

import pytest
import torch

from itrp.config import ImageEncoderConfig
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from itrp.experiments import small_aligned, small_picture, small_text
from itrp.models.aligned_model import build_aligned_model
from itrp.models.itrp_model import build_model
from serving.costs import CostBook
from tests.itrp.conftest import write_pairs

SMALL = {"image": ImageEncoderConfig(size=64)}


@pytest.fixture
def shard(tmp_path: Path) -> ShardFile:
    """Eight tweets."""
    tweets = generate_tweets(8, seed=1)
    return write_pairs(tmp_path, [Pair(each.id, each.text, each.image, f"{each.id}{each.suffix}") for each in tweets])


def test_a_head_costs_nothing_beside_its_encoders(tmp_path: Path, shard: ShardFile) -> None:
    """An aligned model finds what an ITRp model with the same encoders was measured to cost; one that reads no text does not."""
    book = CostBook(tmp_path / "costs", shard, torch.device("cpu"))
    measured = book.of_system(build_model(small_text().model_copy(update=SMALL)))
    assert measured.gflop_per_1000 > 0
    assert book.of_system(build_aligned_model(small_aligned().model_copy(update=SMALL))) == measured
    assert len([*book.folder.iterdir()]) == 1
    alone = book.of_system(build_model(small_picture().model_copy(update=SMALL)))
    assert 0 < alone.gflop_per_1000 < measured.gflop_per_1000
    assert len([*book.folder.iterdir()]) == 2
