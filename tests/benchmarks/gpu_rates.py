"""How fast a device multiplies, convolves and reads: the rates that floors stand on."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Rates:
    """A second: operations of products in half and double precision and of convolutions, and bytes read."""

    product: float
    double: float
    convolution: float
    bytes: float


def measure_rates(device: torch.device) -> Rates:
    """bf16 on a GPU, fp32 on a CPU, as training computes there."""
    gpu = device.type == "cuda"
    kind, side = (torch.bfloat16, 8192) if gpu else (torch.float32, 512)
    double_side, batch = (4096, 256) if gpu else (512, 4)
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    double = torch.randn(double_side, double_side, device=device, dtype=torch.float64)
    # the layer that ResNet-101 has 22 of
    layer = nn.Conv2d(256, 256, 3, padding=1, bias=False, device=device, dtype=kind).to(
        memory_format=torch.channels_last
    )
    maps = torch.randn(batch, 256, 14, 14, device=device, dtype=kind).to(memory_format=torch.channels_last)
    values = torch.ones(2**28 if gpu else 2**24, device=device)
    with torch.inference_mode():
        return Rates(
            product=2 * side**3 / best_time(lambda: left @ right, device),
            double=2 * double_side**3 / best_time(lambda: double @ double, device),
            convolution=2 * batch * 14 * 14 * 256 * 256 * 9 / best_time(lambda: layer(maps), device),
            bytes=values.nbytes / best_time(values.sum, device),
        )


def best_time(act: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Seconds of the quickest of some calls, the first one not counted."""
    return min(call_times(act, device, repeats))


def median_time(act: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Seconds of the median of some calls, the first one not counted."""
    return statistics.median(call_times(act, device, repeats))


def call_times(act: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each call until the device is done, after one that is not counted."""
    act()
    seconds = []
    for _ in range(repeats):
        wait_for(device)
        start = time.perf_counter()
        act()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return seconds


def wait_for(device: torch.device) -> None:
    """Until all that was asked of it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
