"""Randomness from (seed, round) alone: a resumed run needs no generator's state, and a library call never seeds its caller."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def round_seed(seed: int, number: int) -> int:
    """A 32-bit seed for a round; equal for equal (seed, round)."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's generators seeded inside (dropout draws from them), and as they were afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
