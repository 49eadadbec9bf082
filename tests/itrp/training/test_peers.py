"""A batch shared by processes, and what one process of several may do, without starting any."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.errors import WrongUseError
from itrp.training.distributed import ALONE, Peers, check_shareable


@pytest.mark.parametrize(("count", "world"), [(32, 1), (32, 2), (19, 2), (8, 3), (3, 3), (7, 4)])
def test_shares_cover_the_batch_and_weigh_to_its_mean(count: int, world: int) -> None:
    shares = [Peers(rank, world).share(count) for rank in range(world)]
    values = np.random.default_rng(count).normal(size=count)
    assert [*np.concatenate([np.arange(count)[share.rows] for share in shares])] == [*range(count)]
    sizes = [share.rows.stop - share.rows.start for share in shares]
    assert max(sizes) - min(sizes) <= 1
    means = [share.weight * values[share.rows].mean() for share in shares]
    assert np.mean(means) == pytest.approx(values.mean(), rel=1e-12)


def test_a_batch_with_fewer_pairs_than_processes_is_everybodys() -> None:
    for rank in range(4):
        share = Peers(rank, 4).share(3)
        assert (share.rows, share.weight, share.count) == (slice(0, 3), 1.0, 3)


def test_one_process_alone_communicates_with_nobody() -> None:
    """There is no process group here, so anything sent would fail."""
    part = np.ones((3, 2), dtype=np.float32)
    assert ALONE.gather_rows(part, 3) is part
    assert ALONE.broadcast("word") == "word"
    assert ALONE.seed(7) == 7
    assert float(ALONE.mean(torch.tensor(2.5))) == 2.5
    ALONE.wait()
    ALONE.check_equal("anything", [part])


def test_dropout_is_drawn_by_each_process_for_itself() -> None:
    seeds = [Peers(rank, 3).seed(11) for rank in range(3)]
    assert seeds[0] == 11
    assert len(set(seeds)) == 3


def test_what_cannot_be_shared_is_refused(make_config: Callable[..., ExperimentConfig]) -> None:
    with pytest.raises(
        WrongUseError, match="batch_size=8 cannot be shared by 16 processes: start fewer, or enlarge it"
    ):
        check_shareable(make_config("small-text"), Peers(0, 16))
    with pytest.raises(WrongUseError, match="vanilla clustering trains nothing"):
        check_shareable(make_config("small-vanilla-kmeans"), Peers(1, 2))
    check_shareable(make_config("small-text"), ALONE)
