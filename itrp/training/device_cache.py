"""Training data on the GPU: a batch is picked there, so that a step neither copies pairs from the host nor waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itrp.data.inputs import Rows, forget_pages

PADDED_TO = 8
"""Token counts are rounded up to a multiple of this: what tensor cores take at a time, and fewer different shapes."""
SHARE_OF_FREE_MEMORY = 0.5
"""What a data set may take of a GPU's free memory; the model and its activations need the rest."""
COPIED_ROWS = 4096
"""Rows brought to the device at a time."""


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor there. To a GPU by way of pinned memory, which the host does not wait for."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True, eq=False)
class DeviceRows:
    """Vectors or pixels of several shards, one after the other, on a device."""

    values: Tensor
    """[n, ...]"""

    def take(self, rows: NDArray[np.integer]) -> Tensor:
        """The chosen rows, [m, ...]."""
        return self.values[to_device(np.asarray(rows, dtype=np.int64), self.values.device)]


@dataclass(frozen=True, eq=False)
class DeviceTokens:
    """Token numbers of all texts on a device."""

    numbers: Tensor
    """[n, t] int32, padded."""
    lengths: Tensor
    """[n] on the device."""
    host_lengths: NDArray[np.int64]
    """[n] the same on the host, which decides a batch's width without asking the device."""

    def take(self, rows: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """(input_ids [b, t] int64, attention_mask [b, t] int64), t a multiple of PADDED_TO where the longest text allows it."""
        longest = -(-int(self.host_lengths[rows].max()) // PADDED_TO) * PADDED_TO
        width = min(longest, self.numbers.shape[1])
        places = to_device(np.asarray(rows, dtype=np.int64), self.numbers.device)
        mask = torch.arange(width, device=self.numbers.device) < self.lengths[places].unsqueeze(1)
        return self.numbers[places, :width].long(), mask.long()


def fits(rows: Rows, device: torch.device) -> bool:
    """Is there room for them? Never on the CPU, where the memory maps are already what is asked for."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(part.nbytes for part in rows.parts) <= SHARE_OF_FREE_MEMORY * free


def bring_rows(rows: Rows, device: torch.device) -> DeviceRows:
    """Copy memory maps to a device, part by part."""
    first = rows.parts[0]
    values = torch.empty((len(rows), *first.shape[1:]), dtype=torch.from_numpy(first[:0].copy()).dtype, device=device)
    start = 0
    for part in rows.parts:
        for begin in range(0, len(part), COPIED_ROWS):
            chunk = np.array(part[begin : begin + COPIED_ROWS])  # a copy: the map is read-only
            values[start : start + len(chunk)] = to_device(chunk, device)
            start += len(chunk)
        forget_pages(part)
    return DeviceRows(values)


def bring_tokens(rows: Sequence[NDArray[np.int32]], padding: int, device: torch.device) -> DeviceTokens:
    """Pad ragged token rows to the longest and copy them to a device."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    numbers = np.full((len(rows), int(lengths.max())), padding, dtype=np.int32)
    for place, row in enumerate(rows):
        numbers[place, : len(row)] = row
    return DeviceTokens(to_device(numbers, device), to_device(lengths, device), lengths)
