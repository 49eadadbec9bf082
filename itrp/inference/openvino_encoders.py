"""Encoders computed by OpenVINO (extra `openvino`), on CPUs: the network alone; tokens, pixels and pooling stay torch's."""

import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.data.inputs import ShardFile, iter_pixels, read_texts
from itrp.inference.int8 import Arrays, find_int8
from itrp.inference.runtimes import Runtime, import_openvino
from itrp.models.device import Vectors
from itrp.models.image_encoder import ImageEncoder
from itrp.models.pretrained import quiet_transformers
from itrp.models.text_encoder import TextEncoder

CPU = torch.device("cpu")
EXAMPLE = (2, 8)
"""Texts and tokens that the network is traced with; both lengths are free afterwards."""
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""What is computed in where nothing is in int8."""


def compile_text(encoder: TextEncoder, fingerprint: str, runtime: Runtime, threads: int) -> Callable[[Any], Vectors]:
    """Token rows -> [b, d] vectors, on so many threads at once."""

    def convert() -> Any:
        example = (torch.ones(EXAMPLE, dtype=torch.int64), torch.ones(EXAMPLE, dtype=torch.int64))
        return _convert(_HiddenStates(encoder), example, [[-1, -1], [-1, -1]])

    def draw_samples(pairs: ShardFile) -> Iterator[Arrays]:
        for row in encoder.tokenize(read_texts(pairs)):
            yield [each.numpy() for each in encoder.collate([row], CPU)]

    run = _compile(_find_network(encoder, fingerprint, runtime, convert, draw_samples), runtime, threads)

    @torch.inference_mode()
    def embed(rows: Any) -> Vectors:
        numbers, mask = encoder.collate(rows, CPU)
        return encoder.pool(torch.from_numpy(run(numbers.numpy(), mask.numpy())), mask).numpy()

    return embed


def compile_image(
    encoder: ImageEncoder, fingerprint: str, runtime: Runtime, threads: int
) -> Callable[[NDArray[np.uint8]], Vectors]:
    """[b, size, size, 3] pixels -> [b, d] vectors, on so many threads at once."""
    size = encoder.config.size

    def convert() -> Any:
        return _convert(encoder.backbone, (torch.zeros(1, 3, size, size),), [[-1, 3, size, size]])

    @torch.inference_mode()
    def normalise(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return encoder.normalise(torch.from_numpy(pixels)).contiguous().numpy()

    def draw_samples(pairs: ShardFile) -> Iterator[Arrays]:
        for pixels in iter_pixels(pairs, encoder.config.pixels, []):
            yield from ([normalise(pixels[row : row + 1])] for row in range(len(pixels)))

    run = _compile(_find_network(encoder, fingerprint, runtime, convert, draw_samples), runtime, threads)

    @torch.inference_mode()
    def embed(pixels: NDArray[np.uint8]) -> Vectors:
        return encoder.pool(torch.from_numpy(run(normalise(pixels)))).numpy()

    return embed


class _HiddenStates(nn.Module):
    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.transformer = encoder.transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states: Tensor = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states


def _find_network(
    encoder: TextEncoder | ImageEncoder,
    fingerprint: str,
    runtime: Runtime,
    convert: Callable[[], Any],
    draw_samples: Callable[[ShardFile], Iterator[Arrays]],
) -> Any:
    """OpenVINO's network of an encoder, converted, or in int8."""
    if runtime.calibration is None:
        return convert()
    samples = draw_samples(runtime.calibration.pairs)
    attention = isinstance(encoder, TextEncoder)
    return find_int8(fingerprint, runtime.calibration, convert, samples, attention=attention)


def _convert(network: nn.Module, example: tuple[Tensor, ...], shapes: list[list[int]]) -> Any:
    """OpenVINO's network of arrays, in the order of `example`."""
    with warnings.catch_warnings(), quiet_transformers(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing tells what it takes for constant
        return import_openvino().convert_model(
            network.eval(), example_input=example, input=[tuple(shape) for shape in shapes]
        )


def _compile(network: Any, runtime: Runtime, threads: int) -> Callable[..., NDArray[np.float32]]:
    """A function of arrays. One stream a thread: none waits for another inside a layer."""
    core = import_openvino().Core()
    compiled = core.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[runtime.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "PERFORMANCE_HINT": "THROUGHPUT",
            # else every network binds its first stream to the first core, and requests of two networks wait for one core
            "ENABLE_CPU_PINNING": False,
        },
    )
    local = threading.local()

    def run(*arrays: NDArray[Any]) -> NDArray[np.float32]:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return np.array(local.request.infer(list(arrays))[0])  # a copy: the request's own memory is written to again

    return run
