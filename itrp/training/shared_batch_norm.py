"""Batch normalisation over a batch that several processes share."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from itrp.training.distributed import Peers


class SharedBatchNorm(nn.BatchNorm2d):
    """A BatchNorm2d that normalises, in training mode, with the statistics of the whole batch and not of this process's part.

    torch's SyncBatchNorm runs on GPUs alone, so nothing could be checked without two; and it would count a small batch that
    every process works on whole (`Peers.share`) as many. Parameters, buffers and their names are the given layer's.
    """

    def __init__(self, norm: nn.BatchNorm2d, peers: Peers) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)
        self.peers = peers
        self.share = peers.share(1)

    def forward(self, input: Tensor) -> Tensor:
        """[b, c, h, w] -> the same."""
        if not self.training:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))  # bf16 has too few digits for squares
        mean = self._average(values)
        centred = values - _wide(mean)
        variance = self._average(centred.square())
        self._track(mean.detach(), variance.detach(), self.share.count * input.shape[2] * input.shape[3])
        result = centred * _wide(torch.rsqrt(variance + self.eps))
        if self.affine:
            result = result * _wide(self.weight) + _wide(self.bias)
        return result.to(input.dtype)

    def _average(self, values: Tensor) -> Tensor:
        """Mean over the whole batch and its pixels, [c], from this process's part [b, c, h, w]."""
        mean: Tensor = _Sum.apply(values.mean(dim=(0, 2, 3)) * (self.share.weight / self.peers.world))
        return mean

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        step = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, step)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), step)  # unbiased, as in torch


def share_batch_norms(module: nn.Module, peers: Peers) -> list[SharedBatchNorm]:
    """Replace every BatchNorm2d below a module. The result is the replacements: each is told its `share` of every batch."""
    if peers.alone:
        return []
    shared: list[SharedBatchNorm] = []
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared.append(SharedBatchNorm(child, peers))
            setattr(module, name, shared[-1])
        else:
            shared += share_batch_norms(child, peers)
    return shared


class _Sum(torch.autograd.Function):
    """The sum over the processes, through which gradients flow back into all of them (torch's own is deprecated)."""

    @staticmethod
    def forward(ctx: object, tensor: Tensor) -> Tensor:
        total = tensor.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def _wide(channels: Tensor) -> Tensor:
    """[c] -> [1, c, 1, 1]."""
    return channels[None, :, None, None]
