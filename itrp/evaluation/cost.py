"""What a system costs: seconds and floating-point operations for a thousand pairs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from itrp.errors import WrongUseError


@dataclass(frozen=True)
class Cost:
    """The price of labelling 1,000 pairs on a device."""

    seconds_per_1000: float
    gflop_per_1000: float
    """10^9 floating-point operations; a multiplication with its addition counts as 2."""
    device: str
    """What it was measured on, for example `cpu, 2 threads` or a GPU's name."""


def add_costs(costs: Sequence[Cost]) -> Cost:
    """What several models cost that run one after the other on one device."""
    return Cost(
        sum(cost.seconds_per_1000 for cost in costs), sum(cost.gflop_per_1000 for cost in costs), costs[0].device
    )


def measure_cost(predict: Callable[[], Any], pairs: int, device: torch.device | None = None) -> Cost:
    """Run `predict`, which labels `pairs` pairs, twice: once counting its operations, once against the clock.

    The counting run comes first and warms up; it makes the other one no slower. `predict` has to do all of its work
    both times: what it keeps from one call to the next (embeddings, decoded pixels) is missing from the seconds.
    Counted are the matrix products, convolutions and attention of torch on this thread, forwards and backwards, a
    multiply-add as 2 (torch.utils.flop_counter); sums, activations, and what NumPy, scikit-learn and the decoder of
    images do, are in the seconds only. The clock waits for `device` (the CPU unless told otherwise).

    While it counts, torch runs without fused kernels in the whole process: the counter cannot see into them. Raises
    WrongUseError for no pairs.
    """
    if pairs < 1:
        raise WrongUseError(f"expected at least one pair to measure the cost on, found {pairs}")
    device = device or torch.device("cpu")
    operations = count_operations(predict)
    _wait_for(device)
    start = perf_counter()
    predict()
    _wait_for(device)
    seconds = perf_counter() - start
    return Cost(1000 * seconds / pairs, 1000 * operations / 1e9 / pairs, describe_device(device))


def count_operations(run: Callable[[], Any]) -> int:
    """Floating-point operations of one call, as `measure_cost` counts them."""
    with _without_fused_kernels(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def describe_device(device: torch.device) -> str:
    """The name to put beside a measurement."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)


@contextmanager
def _without_fused_kernels() -> Iterator[None]:
    """Recurrent layers in oneDNN and cuDNN, and torch's transformer layers in inference, run as one kernel each."""
    libraries: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [library.enabled for library in libraries]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        for library in libraries:
            library.enabled = False
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        for library, enabled in zip(libraries, before, strict=True):
            library.enabled = enabled
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _wait_for(device: torch.device) -> None:
    """GPUs work on after the call that started them has returned."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
