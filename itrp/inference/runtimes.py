"""Which library and arithmetic compute encoders that only answer.

Vectors of two runtimes differ in the third digit, so a runtime has a name, which is part of every cache's key: they are never
mixed.
"""

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from itrp.errors import WrongUseError
from itrp.inference.embeddings import IMAGES_TOGETHER
from itrp.inference.int8 import Calibration

logger = logging.getLogger(__name__)

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "openvino", "int8"]
"""auto: bf16 where it is quicker on this processor, else fp32. openvino: the same by OpenVINO. int8: by OpenVINO too, about
twice as quick as fp32, with some per cent of error in the vectors."""

WORTHWHILE_GAIN = 1.2
"""How much quicker bf16 must be to be worth its rounding."""
MEASURED_TURNS = 15
"""Products of 3 ms each."""


@dataclass(frozen=True)
class Runtime:
    """What computes embeddings."""

    device: torch.device
    precision: Literal["fp32", "bf16", "int8"]
    library: Literal["torch", "openvino"] = "torch"
    calibration: Calibration | None = None
    """What int8 is made from."""

    @property
    def name(self) -> str:
        """Names vectors and predictions in caches. `cpu` is what `itrp.inference.embeddings` computes there, fp32."""
        if self.device.type == "cpu" and self == exact_runtime(self.device):
            return "cpu"
        library = ["openvino"] if self.library == "openvino" else []
        calibration = [self.calibration.name] if self.calibration is not None else []
        return "-".join([self.device.type, *library, self.precision, *calibration])

    @property
    def image_batch(self) -> int:
        """Images at a time."""
        return 256 if self.device.type == "cuda" else IMAGES_TOGETHER

    @property
    def text_batch(self) -> int:
        """Texts at a time."""
        return 512 if self.device.type == "cuda" else 64


def exact_runtime(device: torch.device) -> Runtime:
    """torch in fp32."""
    return Runtime(device, "fp32")


def choose_runtimes(
    device: torch.device, precision: Precision, calibrate: Callable[[], Calibration | None] | None = None
) -> list[Runtime]:
    """What a setting asks for on this machine, and for int8 what auto would take, should it not do.

    calibrate: finds pairs to make int8 from; asked only for it. Raises WrongUseError for bf16 where the processor would only
    imitate it, and for OpenVINO where it is not installed or the device is no CPU.
    """
    if precision in ("openvino", "int8"):
        if device.type != "cpu":
            raise WrongUseError(f"precision={precision}: expected the device cpu, found {device}: use auto")
        _check_installed(precision)
    if precision == "int8":
        calibration = calibrate() if calibrate is not None else None
        int8 = [Runtime(device, "int8", "openvino", calibration)] if calibration is not None else []
        return [*int8, *choose_runtimes(device, "auto")]
    if precision == "bf16" and not multiplies_bf16(device):
        raise WrongUseError(
            f"precision=bf16: expected a {device.type} that multiplies in bf16 (AVX512-BF16 or AMX), found none: use auto or fp32"
        )
    quick = precision == "bf16" or (precision != "fp32" and gains_by_bf16(device))
    return [Runtime(device, "bf16" if quick else "fp32", "openvino" if precision == "openvino" else "torch")]


def choose_runtime(device: torch.device, precision: Precision) -> Runtime:
    """The one that training and the gate embed in: never int8, which pairs have to be tried on. Raises as `choose_runtimes`."""
    return choose_runtimes(device, precision)[0]


def _check_installed(precision: Precision) -> None:
    """Raises WrongUseError without OpenVINO, or without NNCF where the precision is int8."""
    try:
        import_openvino()
        if precision == "int8":
            import nncf  # noqa: F401
    except ImportError as error:
        found = "OpenVINO and NNCF, found not both" if precision == "int8" else "OpenVINO, found none"
        raise WrongUseError(
            f"precision={precision}: expected {found} ({error}): pip install 'itrp[openvino]', or use auto"
        ) from None


def import_openvino() -> Any:
    """The package, without its reports home: importing it sends an event, unless its sender cannot be imported.

    Where NNCF is installed it has torch look for a CUDA compiler, which torch remarks on.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import openvino

    return openvino


def multiplies_bf16(device: torch.device) -> bool:
    """Whether it has instructions for that."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def gains_by_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are quicker there. Instructions alone do not tell: an Intel Xeon whose AMX is hidden from a
    virtual machine takes nearly twice as long for them as for fp32, an AMD EPYC half as long."""
    return multiplies_bf16(device) and (device.type == "cuda" or _measure_bf16_gain() >= WORTHWHILE_GAIN)


@lru_cache(maxsize=1)
def _measure_bf16_gain() -> float:
    """How much quicker a product of BERT-base's size is in bf16 than in fp32 on this CPU: least of some tries, in turns."""
    shape = torch.Generator().manual_seed(0)
    sides = [torch.randn(size, 768, generator=shape) for size in (256, 768)]
    operands = {dtype: [side.to(dtype) for side in sides] for dtype in (torch.float32, torch.bfloat16)}
    least = dict.fromkeys(operands, math.inf)
    with torch.inference_mode():
        for _ in range(MEASURED_TURNS):
            for dtype, (left, right) in operands.items():
                start = time.perf_counter()
                nn.functional.linear(left, right)
                least[dtype] = min(least[dtype], time.perf_counter() - start)
    gain = least[torch.float32] / least[torch.bfloat16]
    logger.debug("products in bf16 are %.2f times as fast as in fp32", gain)
    return gain
