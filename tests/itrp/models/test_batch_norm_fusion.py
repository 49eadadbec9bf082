"""Batch norms folded into convolutions: the same answers, or the network as it was."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from itrp.config import ImageEncoderConfig, override
from itrp.experiments import EXPERIMENTS
from itrp.inference.embeddings import embed_pixels, fuse_encoder
from itrp.models.batch_norm_fusion import fuse_batch_norms
from itrp.models.encoder_pair import fingerprint
from itrp.models.image_encoder import ImageEncoder
from itrp.models.itrp_model import build_model

CPU = torch.device("cpu")


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def let_statistics_move(network: nn.Module, size: int) -> None:
    """So that folding has something to do."""
    with torch.no_grad():
        for seed in range(3):
            network.train()(torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "resnet18", "mobilenet_v3_small"])
def test_folded_batch_norms_give_the_same(name: str) -> None:
    network = torchvision.models.get_model(name, weights=None)
    let_statistics_move(network, 64)
    fused = fuse_batch_norms(network, 64)
    assert norms_of(network)
    assert not norms_of(fused)
    sample = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(fused(sample), network.eval()(sample), atol=1e-4, rtol=1e-4)


def test_an_encoder_is_folded_beside_itself() -> None:
    """EfficientNet-Lite0, whose convolutions are a class of their own, with the weights that come from the package registry."""
    encoder = build_model(override(EXPERIMENTS["small-text"](), ["image.size=64"])).image
    before = fingerprint(encoder)
    fused = fuse_encoder(encoder.train())
    assert len(norms_of(encoder)) == 49
    assert not norms_of(fused)
    pixels = np.random.default_rng(0).integers(256, size=(5, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(embed_pixels(encoder, pixels, CPU, 2), expected, rtol=1e-4, atol=1e-4)
    assert fingerprint(encoder) == before
    fused.to(torch.float64)
    assert encoder.mean.dtype == encoder.dtype == torch.float32  # nothing that changes is shared


def test_an_encoder_without_batch_norms_is_taken_as_it_is() -> None:
    encoder = ImageEncoder(ImageEncoderConfig(size=64), nn.Conv2d(3, 4, 3))
    assert fuse_encoder(encoder) is encoder


class Shared(nn.Module):
    """A convolution whose result goes elsewhere too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        made = self.convolution(images)
        return self.norm(made) - made


class Lonely(nn.Module):
    """A batch norm that no convolution feeds."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.norm(images))


def test_what_cannot_be_folded_stays_as_it_is() -> None:
    shared, lonely = Shared(), Lonely()
    let_statistics_move(shared, 16)
    assert fuse_batch_norms(shared, 16) is shared
    assert len(norms_of(fuse_batch_norms(lonely, 16))) == 1
    without = nn.Conv2d(3, 4, 3)
    assert fuse_batch_norms(without, 16) is without
