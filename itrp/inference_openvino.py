"""Encoders computed by OpenVINO (extra `openvino`), on CPUs: the network alone; tokens, pixels and pooling stay torch's."""

import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.embeddings import Vectors
from itrp.errors import WrongUseError
from itrp.image_encoder import ImageEncoder
from itrp.text_encoder import TextEncoder

CPU = torch.device("cpu")
EXAMPLE = (2, 8)
"""Texts and tokens that the network is traced with; both lengths are free afterwards."""
HINTS = {"fp32": "f32", "bf16": "bf16"}


def check_installed() -> None:
    """Raises WrongUseError without OpenVINO."""
    try:
        _import_openvino()
    except ImportError as error:
        raise WrongUseError(
            f"precision=openvino: expected OpenVINO, found none ({error}): pip install 'itrp[openvino]', or use auto"
        ) from None


def compile_text(encoder: TextEncoder, precision: Literal["fp32", "bf16"], threads: int) -> Callable[[Any], Vectors]:
    """Token rows -> [b, d] vectors, on so many threads at once."""
    example = (torch.ones(EXAMPLE, dtype=torch.int64), torch.ones(EXAMPLE, dtype=torch.int64))
    run = _compile(_HiddenStates(encoder), example, [[-1, -1], [-1, -1]], precision, threads)

    @torch.inference_mode()
    def embed(rows: Any) -> Vectors:
        numbers, mask = encoder.collate(rows, CPU)
        return encoder.pool(torch.from_numpy(run(numbers.numpy(), mask.numpy())), mask).numpy()

    return embed


def compile_image(
    encoder: ImageEncoder, precision: Literal["fp32", "bf16"], threads: int
) -> Callable[[NDArray[np.uint8]], Vectors]:
    """[b, size, size, 3] pixels -> [b, d] vectors, on so many threads at once."""
    size = encoder.config.size
    run = _compile(encoder.backbone, (torch.zeros(1, 3, size, size),), [[-1, 3, size, size]], precision, threads)

    @torch.inference_mode()
    def embed(pixels: NDArray[np.uint8]) -> Vectors:
        images = encoder.normalise(torch.from_numpy(pixels)).contiguous()
        return encoder.pool(torch.from_numpy(run(images.numpy()))).numpy()

    return embed


class _HiddenStates(nn.Module):
    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.transformer = encoder.transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def _compile(
    network: nn.Module, example: tuple[Tensor, ...], shapes: list[list[int]], precision: str, threads: int
) -> Callable[..., NDArray[np.float32]]:
    """A function of arrays, in the order of `example`. One stream a thread: none waits for another inside a layer."""
    openvino = _import_openvino()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing tells what it takes for constant
        traced = openvino.convert_model(network.eval(), example_input=example, input=[tuple(shape) for shape in shapes])
    compiled = openvino.Core().compile_model(
        traced,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "PERFORMANCE_HINT": "THROUGHPUT",
        },
    )
    local = threading.local()

    def run(*arrays: NDArray[Any]) -> NDArray[np.float32]:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return np.array(local.request.infer(list(arrays))[0])  # a copy: the request's own memory is written to again

    return run


def _import_openvino() -> Any:
    """The package, without its reports home: importing it sends an event, unless its sender cannot be imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
