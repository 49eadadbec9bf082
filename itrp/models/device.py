"""Where networks compute, and in which arithmetic."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""[n, d] embeddings."""


def no_vectors(n: int) -> Vectors:
    """[n, 0]: of a side that nobody reads."""
    return np.empty((n, 0), dtype=np.float32)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; any other name is taken as it is."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bf16 arithmetic with fp32 weights on CUDA, plain fp32 on the CPU."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()
