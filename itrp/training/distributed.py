"""The processes that train one model together, one a GPU: who takes which pairs, and that all of them see the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from itrp.config import ExperimentConfig
from itrp.errors import PeersDifferError, WrongUseError
from itrp.models.itrp_model import ItrpModel
from itrp.randomness import round_seed
from itrp.training.training_set import TrainingSet

Value = TypeVar("Value")


@dataclass(frozen=True)
class Share:
    """What one process takes of a batch."""

    rows: slice
    weight: float
    """Of the mean over these rows, for the mean over the processes to be the mean over the batch."""
    count: int
    """Pairs in the whole batch."""


@dataclass(frozen=True)
class Peers:
    """This process among those of torch's default process group, which must be there when `world` is above 1.

    One alone, the default, communicates with nobody: every method gives back what it was given.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default=torch.device("cpu"))
    """Where tensors must lie to be sent: the CPU for gloo, this process's GPU for NCCL."""

    @property
    def alone(self) -> bool:
        """Is this an ordinary, single process?"""
        return self.world == 1

    @property
    def leads(self) -> bool:
        """Is this the process that clusters, writes and reports?"""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's of `count` rows; the parts are contiguous, differ by one row at most, and cover them all."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)

    def share(self, count: int) -> Share:
        """This process's part of a batch of `count` pairs.

        A batch of fewer pairs than processes is worked on whole by all of them, which gives the same mean: a process
        without any pair could not take part in the gradient's exchange.
        """
        if count < self.world:
            return Share(slice(0, count), 1.0, count)
        rows = self.part(count)
        return Share(rows, (rows.stop - rows.start) * self.world / count, count)

    def seed(self, seed: int) -> int:
        """A seed of this process's own; the first one's is the given one."""
        return seed if self.leads else round_seed(seed, self.rank)

    def gather_rows(self, part: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """[count, d] from every process's `part(count)` of the rows, [m, d]; exact: each row is added to zeros."""
        if self.alone:
            return part
        whole = torch.zeros((count, part.shape[1]), dtype=torch.float32, device=self.device)
        whole[self.part(count)] = torch.from_numpy(part).to(self.device)
        dist.all_reduce(whole)
        return whole.cpu().numpy()

    def broadcast(self, value: Value | None) -> Value:
        """What the first process gave; the others' own is not looked at. For small things: it is pickled."""
        held = [value]
        if not self.alone:
            dist.broadcast_object_list(held, src=0, device=self.device)
        return held[0]  # type: ignore[return-value]

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes, elementwise; outside of any gradient."""
        if self.alone:
            return value
        total = value.detach().to(self.device, copy=True)
        dist.all_reduce(total)
        return total / self.world

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if not self.alone:
            dist.barrier()

    def check_equal(self, what: str, values: Sequence[NDArray[np.generic] | Tensor]) -> None:
        """Raise PeersDifferError, in every process, unless all hold the same bytes in these arrays."""
        if self.alone:
            return
        own = _checksum(values)
        least = torch.tensor([own, -own], dtype=torch.int64, device=self.device)
        dist.all_reduce(least, op=dist.ReduceOp.MIN)
        if least[0] != -least[1]:
            raise PeersDifferError(
                f"expected the same {what} in all {self.world} processes, found process {self.rank} with others "
                f"(checksums from {int(least[0]):016x} to {-int(least[1]):016x}): start them with the same code, settings and "
                "data, on GPUs of one kind, and resume"
            )


ALONE = Peers()
"""An ordinary process."""


class BatchClassifier(nn.Module):
    """The training step's forward pass as one module, which DistributedDataParallel asks for. It owns the model's parameters."""

    def __init__(self, model: ItrpModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, data: TrainingSet, rows: NDArray[np.int64]) -> Tensor:
        """[b, k] logits of the rows."""
        return self.model.classify(data.text_batch(rows), data.image_batch(rows))


def join_gradients(classifier: BatchClassifier, peers: Peers) -> nn.Module:
    """The classifier with a backward pass that leaves the mean of all processes' gradients; itself for one alone.

    The first process's weights become everybody's. Buffers are not sent: `share_batch_norms` keeps them equal.
    """
    return classifier if peers.alone else DistributedDataParallel(classifier, broadcast_buffers=False)


def check_shareable(config: ExperimentConfig, peers: Peers) -> None:
    """Raise WrongUseError for a configuration that several processes cannot train together."""
    if peers.alone:
        return
    if config.algorithm == "vanilla":
        raise WrongUseError(
            "vanilla clustering trains nothing that processes could share: start it in one, without torchrun"
        )
    if config.batch_size < peers.world:
        raise WrongUseError(
            f"batch_size={config.batch_size} cannot be shared by {peers.world} processes: start fewer, or enlarge it"
        )


def _checksum(values: Sequence[NDArray[np.generic] | Tensor]) -> int:
    """The first 62 bits of SHA-256: they fit int64, and so does their negative."""
    digest = hashlib.sha256()
    for value in values:
        array = value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data if array.size else b"")
    return int.from_bytes(digest.digest()[:8]) >> 2
