"""Regions of an image and their features: torchvision's Faster R-CNN in place of the bottom-up attention network.

Anderson et al. 2018 (bottom-up and top-down attention) cut regions out with a Faster R-CNN trained on Visual Genome, 2048
features each, and LXMERT was trained on the 36 best of them (Tan and Bansal 2019). torchvision's detectors know the 80 classes
of COCO, and their box head gives 1024 features.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import detection as detectors
from torchvision.models import get_model, get_model_weights, list_models

from itrp.baselines.config import LxmertConfig
from itrp.errors import WeightsUnavailableError, WrongUseError
from itrp.models.pretrained import digest_model, read_state_dict

DETECTOR_FILE = "detector.safetensors"

_CLASSES = "roi_heads.box_predictor.cls_score.weight"
_WHOLE = ((0.0, 0.0, 1.0, 1.0),)


class Detector:
    """A frozen Faster R-CNN, and how many of its regions are taken. Not a module: no trainer shall find its parameters."""

    def __init__(self, config: LxmertConfig, model: nn.Module) -> None:
        self.config = config
        self.model: Any = model.eval().requires_grad_(False)

    @property
    def width(self) -> int:
        """Features of a region."""
        return int(self.model.roi_heads.box_predictor.cls_score.in_features)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits naming the detector by what decides its regions."""
        config = self.config
        settings = f"{config.detector} {config.boxes} {config.min_score} {config.detector_size}"
        return digest_model(self.model, settings.encode())

    @torch.inference_mode()
    def find_regions(self, image: Image.Image, device: torch.device) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features [k, d] and boxes [k, 4] (x1, y1, x2, y2 as shares of width and height) of the surest regions, 1 <= k <= boxes.

        Where nothing is found, the whole image is the one region. An image is looked at by itself: in a batch it would
        be padded to the largest one, and its features would depend on its neighbours.
        """
        longest = self.model.transform.max_size
        image = image.copy()
        image.thumbnail((longest, longest))  # never enlarges; the detector itself would take all pixels in as floats
        pixels = torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1).float() / 255
        images, _ = self.model.transform([pixels])
        maps = self.model.backbone(images.tensors)
        proposals, _ = self.model.rpn(images, maps)
        found, _ = self.model.roi_heads(maps, proposals, images.image_sizes)
        height, width = images.image_sizes[0]
        scale = torch.tensor((width, height, width, height), dtype=torch.float32, device=device)
        boxes = found[0]["boxes"] if len(found[0]["boxes"]) else torch.tensor(_WHOLE, device=device) * scale
        pooled = self.model.roi_heads.box_roi_pool(maps, [boxes], images.image_sizes)
        features = self.model.roi_heads.box_head(pooled)
        return features.float().cpu().numpy(), (boxes / scale).clamp(0, 1).cpu().numpy()

    def save(self, folder: Path) -> None:
        """The weights: a loaded model finds the regions of new images without any other file."""
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in self.model.state_dict().items()},
            folder / DETECTOR_FILE,
        )


def load_detector(config: LxmertConfig) -> Detector:
    """The configured detector with its pretrained weights.

    Raises WeightsUnavailableError, one line, when they are neither here nor to be fetched, and WrongUseError for a detector
    that torchvision does not have.
    """
    _check_name(config.detector)
    path = Path(config.detector_weights).expanduser()
    return _build(config, read_state_dict(path, "network.detector_weights") if path.is_file() else _fetch_state(config))


def restore_detector(config: LxmertConfig, folder: Path) -> Detector:
    """What `Detector.save` wrote."""
    return _build(config, load_file(folder / DETECTOR_FILE))


def _check_name(name: str) -> None:
    known = [known for known in list_models(module=detectors) if known.startswith("fasterrcnn_")]
    if name not in known:
        raise WrongUseError(f"network.detector: expected one of {', '.join(known)}, found {name!r}")


def _build(config: LxmertConfig, state: Mapping[str, Tensor]) -> Detector:
    """The same architecture for every source of weights, so that a saved model's answers stay as they were."""
    size = {"min_size": config.detector_size} if config.detector_size else {}
    model = get_model(
        config.detector,
        weights=None,
        weights_backbone=None,
        num_classes=len(state[_CLASSES]) if _CLASSES in state else None,
        box_score_thresh=config.min_score,
        box_detections_per_img=config.boxes,
        **size,
    )
    if config.detector == "fasterrcnn_resnet50_fpn":
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0  # as torchvision itself does for the weights of this one
    _fill(model, state, config.detector)
    return Detector(config, model)


def _fill(model: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    try:
        # by the modules' own loaders, which know what older files call their tensors
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise WeightsUnavailableError(
            f"the weights given for the detector {name!r} have other shapes ({str(error).splitlines()[1].strip()}); "
            "network.detector_weights must be a state dict saved from that detector"
        ) from None
    # frozen batch norms, which pretrained detectors have, count no batches, and nothing reads the count
    needed = sorted(key for key in missing if not key.endswith("num_batches_tracked"))
    if needed:
        raise WeightsUnavailableError(
            f"the weights given for the detector {name!r} lack {len(needed)} of its tensors, {needed[0]!r} first; "
            "network.detector_weights must be a state dict saved from that detector"
        )


def _fetch_state(config: LxmertConfig) -> Mapping[str, Tensor]:
    known = get_model_weights(config.detector)
    names = [weights.name for weights in known]
    if config.detector_weights not in names:
        raise WeightsUnavailableError(
            f"network.detector_weights: expected the path of a file or one of {', '.join(names)} for {config.detector}, "
            f"found {config.detector_weights!r}"
        )
    weights = known[config.detector_weights]
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
        return state
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"the weights {weights.name} of {config.detector} were looked for in the torch cache and at {weights.url} and could "
            f"not be had ({error}); give network.detector_weights=FILE with that state dict, or network.regions=FILE.npz with "
            "region features of your own"
        ) from None
