"""Batch norms that are done by the convolutions before them: for networks that only answer."""

import copy
import logging

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference that fusing may make, relative to the largest value; rounding makes 1e-6."""


@torch.no_grad()
def fuse_batch_norms(network: nn.Module, size: int) -> nn.Module:
    """A copy that answers the same for images of this size, in evaluation mode; the network itself where that cannot be done.

    Which batch norm follows which convolution is seen while a sample flows through, not read from the code, so any
    architecture will do. What was fused is tried before it is given away: a convolution whose result something else uses as
    well, or a forward that depends on its input, gives another result and is left as it is.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    fused = copy.deepcopy(network).eval()
    weight = next(network.parameters())
    sample = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(weight.device, weight.dtype)
    pairs, expected = _watch(fused, sample)
    names = {module: name for name, module in fused.named_modules()}
    for convolution, norm in pairs:
        _fuse(convolution, norm)
        fused.set_submodule(names[norm], nn.Identity())
    found = fused(sample)
    if not (expected - found).abs().max() <= TOLERANCE * expected.abs().max():
        logger.debug(
            "convolutions and batch norms of %s are not fused: the result would differ", type(network).__name__
        )
        return network
    return fused


def _watch(network: nn.Module, sample: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """The convolutions whose result goes into a batch norm, and what the network makes of the sample."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensors are kept: a number is theirs as long as they live
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def see_convolution(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)

    def see_norm(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], module))

    hooks = [
        module.register_forward_hook(see_convolution if isinstance(module, nn.Conv2d) else see_norm)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        return pairs, network(sample)
    finally:
        for hook in hooks:
            hook.remove()


def _fuse(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
