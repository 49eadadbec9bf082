import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from itrp.errors import WrongUseError
from itrp.evaluation.cost import count_operations, describe_device, measure_cost

MakeLayer = Callable[[], nn.Module]


def encoder_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)


# Each multiply-add is 2. Input [2, 5, 8] for all but the convolution, whose input is [2, 3, 8, 8].
BY_HAND: list[tuple[MakeLayer, tuple[int, ...], int]] = [
    (lambda: nn.Linear(8, 3), (2, 5, 8), 2 * 10 * 8 * 3),
    (lambda: nn.Conv2d(3, 4, kernel_size=3), (2, 3, 8, 8), 2 * 2 * (6 * 6) * 4 * (3 * 3 * 3)),
    # Four gates, each from the input (8) and the state before (6), for each of 10 places.
    (lambda: nn.LSTM(8, 6, batch_first=True), (2, 5, 8), 2 * 10 * 4 * 6 * (8 + 6)),
    # Query, key, value and output; scores and their use, 5 x 5 for each of 2 texts; two layers of 8 x 16.
    (encoder_layer, (2, 5, 8), 2 * 10 * 4 * 8 * 8 + 2 * 2 * (2 * 5 * 5 * 8) + 2 * 10 * 2 * 8 * 16),
]


@pytest.mark.parametrize(("make", "shape", "expected"), BY_HAND, ids=["linear", "convolution", "lstm", "transformer"])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_operations_by_hand(make: MakeLayer, shape: tuple[int, ...], expected: int, mode: type) -> None:
    layer, inputs = make().eval(), torch.zeros(shape)

    def run() -> None:
        with mode():
            layer(inputs)

    assert count_operations(run) == expected


def test_cost_is_for_a_thousand_pairs() -> None:
    layer, inputs = nn.Linear(1000, 500), torch.zeros(4, 1000)
    cost = measure_cost(lambda: layer(inputs), pairs=4)
    assert cost.gflop_per_1000 == pytest.approx(1.0)  # 2 * 1000 * 500 operations a pair
    assert cost.device == f"cpu, {torch.get_num_threads()} threads"


def test_the_clock_runs_in_the_second_call_only() -> None:
    calls: list[float] = []

    def predict() -> None:
        time.sleep(0.05 if calls else 0.5)
        calls.append(time.perf_counter())

    cost = measure_cost(predict, pairs=100)
    after_the_first = time.perf_counter() - calls[0]
    assert len(calls) == 2
    assert 0.05 * 10 <= cost.seconds_per_1000 <= after_the_first * 10
    assert cost.gflop_per_1000 == 0


@pytest.mark.parametrize("fails", [False, True])
def test_the_fused_kernels_are_back_afterwards(fails: bool) -> None:
    seen: list[bool] = []

    def run() -> None:
        seen.append(torch.backends.mkldnn.enabled or torch.backends.mha.get_fastpath_enabled())
        if fails:
            raise RuntimeError("on purpose")

    before = (torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled())
    if fails:
        with pytest.raises(RuntimeError, match="on purpose"):
            count_operations(run)
    else:
        count_operations(run)
    after = (torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled())
    assert seen == [False]
    assert after == before


def test_counting_changes_no_answer() -> None:
    torch.manual_seed(0)
    layer, inputs, answers = encoder_layer().eval(), torch.randn(2, 5, 8), []
    with torch.inference_mode():
        measure_cost(lambda: answers.append(layer(inputs)), pairs=2)
    torch.testing.assert_close(*answers, atol=1e-5, rtol=0)


def test_no_pairs_have_no_cost() -> None:
    with pytest.raises(WrongUseError, match="at least one pair to measure the cost on, found 0"):
        measure_cost(lambda: None, pairs=0)


def test_other_devices_are_named() -> None:
    assert describe_device(torch.device("meta")) == "meta"
