"""Which library and arithmetic compute encoders that only answer.

Vectors of two runtimes differ in the third digit, so a runtime has a name, which is part of every cache's key: they are never
mixed.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import torch

from itrp.errors import WrongUseError
from itrp.inference.embeddings import IMAGES_TOGETHER
from itrp.inference.int8 import Calibration

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "openvino", "int8"]
"""auto: the quickest of what is installed, fp32 and bf16 by torch and by OpenVINO. openvino: the quicker of its two. int8: by
OpenVINO too, about twice as quick as fp32, with some per cent of error in the vectors."""

WORTHWHILE_GAIN = 1.2
"""How much quicker a runtime must be than every simpler one to be worth its rounding."""


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


Measure: TypeAlias = Callable[[Runtime], float]
"""Seconds that a pair takes on a runtime (`itrp.inference.speed`)."""


def choose_runtimes(
    device: torch.device,
    precision: Precision,
    measure: Measure,
    calibrate: Callable[[], Calibration | None] | None = None,
) -> list[Runtime]:
    """What a setting asks for on this machine, and what to take, should that not do; the last one is torch in fp32, or what was
    asked for by name.

    measure: is asked where there is a choice. calibrate: finds pairs to make int8 from; asked only for it. Raises WrongUseError
    for bf16 where the processor would only imitate it, and for OpenVINO where it is not installed or the device is no CPU.
    """
    if precision in ("openvino", "int8"):
        if device.type != "cpu":
            raise WrongUseError(f"precision={precision}: expected the device cpu, found {device}: use auto")
        _check_installed(precision)
    if precision == "int8":
        calibration = calibrate() if calibrate is not None else None
        int8 = [Runtime(device, "int8", "openvino", calibration)] if calibration is not None else []
        return [*int8, *choose_runtimes(device, "auto", measure)]
    if precision == "bf16" and not multiplies_bf16(device):
        raise WrongUseError(
            f"precision=bf16: expected a {device.type} that multiplies in bf16 (AVX512-BF16 or AMX), found none: use auto or fp32"
        )
    if precision in ("fp32", "bf16"):
        return [Runtime(device, precision)]
    if device.type != "cpu":
        return [Runtime(device, "bf16" if multiplies_bf16(device) else "fp32")]
    installed = list_runtimes()
    return _rank([each for each in installed if precision == "auto" or each.library == "openvino"], measure)


def choose_runtime(device: torch.device, precision: Precision, measure: Measure) -> Runtime:
    """The one that training and the gate embed in: int8 is not among them. Raises as `choose_runtimes`."""
    return choose_runtimes(device, "auto" if precision == "int8" else precision, measure)[0]


def list_runtimes() -> list[Runtime]:
    """What the CPU can compute with, the simplest first; int8, which needs pairs to be made from, is not among them."""
    cpu = torch.device("cpu")
    kinds: list[Literal["fp32", "bf16"]] = ["fp32", "bf16"] if multiplies_bf16(cpu) else ["fp32"]
    libraries: list[Literal["torch", "openvino"]] = ["torch", "openvino"] if _has_openvino() else ["torch"]
    return [Runtime(cpu, kind, library) for library in libraries for kind in kinds]


def _rank(candidates: Sequence[Runtime], measure: Measure) -> list[Runtime]:
    """Those that beat every simpler one by WORTHWHILE_GAIN, the best of them first; the simplest of all is the last."""
    if len(candidates) == 1:
        return [*candidates]
    best = [candidates[0]]
    least = measure(candidates[0])
    for candidate in candidates[1:]:
        seconds = measure(candidate)
        if least / seconds >= WORTHWHILE_GAIN:
            best.append(candidate)
            least = seconds
    return best[::-1]


def _has_openvino() -> bool:
    """Without importing it, which takes half a second."""
    try:
        return find_spec("openvino") is not None
    except ValueError:  # of a module that somebody has put there by hand
        return True


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
