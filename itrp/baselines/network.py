"""What the supervised systems have in common: how a network reads pairs, and what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.data.inputs import ShardFile
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import CLASS_NAMES, Task

Inputs = Mapping[str, Any]
"""What a network reads of n pairs, by name: `itrp.data.inputs.Rows`, or lists of one ragged array a pair."""
Batch = dict[str, Tensor]


class Network(nn.Module, ABC):
    """Two stages: `read` prepares whole shards once, `collate` and `forward` run on batches of them, again and again."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    @abstractmethod
    def read(self, shards: Sequence[ShardFile], cache: EmbeddingCache) -> Inputs:
        """Tokens, pixels or regions of all pairs of the shards, in stored order. `cache.folder` is where what is slow to
        compute is kept."""

    @abstractmethod
    def collate(self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device) -> Batch:
        """The chosen rows [b] of the inputs as tensors on a device."""

    @abstractmethod
    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each of the network's tasks."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what rebuilding the network needs besides its weights (architecture, tokenizer) into a new folder."""


class Heads(nn.ModuleDict):
    """One linear layer a task over a shared vector: [b, d] -> logits [b, 2] by task."""

    def __init__(self, tasks: Sequence[Task], width: int) -> None:
        super().__init__({str(task): nn.Linear(width, len(CLASS_NAMES[task])) for task in tasks})

    def forward(self, vectors: Tensor) -> dict[Task, Tensor]:
        """[b, d] -> {task: [b, 2]}."""
        return {Task(name): head(vectors) for name, head in self.items()}
