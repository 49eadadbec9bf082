"""How quick a runtime is with a model's own networks, on this machine and on texts and images such as it will get.

Instructions alone do not tell: with BERT-base and ResNet-101 an AMD EPYC is quickest in bf16 by torch, an Intel Xeon with AMX in
bf16 by OpenVINO, and one whose AMX is hidden from a virtual machine in fp32 (docs/benchmarks).
"""

import json
import logging
import math
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from itrp.data.inputs import ShardFile
from itrp.files import write_atomically
from itrp.inference.embedders import ImageEmbedder, TextEmbedder, prepare_image, prepare_text
from itrp.inference.examples import FindExamples, choose_examples, describe_machine
from itrp.inference.pipeline import EmbeddingStream, Job, count_workers
from itrp.inference.runtimes import Runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.encoder_pair import EncoderPair, fingerprint
from itrp.models.image_encoder import ImageEncoder
from itrp.models.text_encoder import TextEncoder

logger = logging.getLogger(__name__)

PAIRS = 32
"""Measured: a batch of images for each of two threads."""
TURNS = 2
"""Measured after a first one, in which libraries get ready; the quicker one counts."""
_measured: dict[str, float] = {}
"""In this process, whatever the folder."""


class NetworkSpeed:
    """Seconds a pair takes on a runtime, by all networks of some models; a `Measure`.

    Each network is measured once on a machine: by its shape, whatever its weights are, so that a model that is trained again
    costs nothing. folder: keeps the measurements. find_examples: is asked for pairs where something is to be measured; made-up
    ones take their place.
    """

    def __init__(self, models: Sequence[EncoderPair], folder: Path, find_examples: FindExamples | None = None) -> None:
        self.models = models
        self.folder = folder
        self.find_examples = find_examples

    @cached_property
    def encoders(self) -> list[TextEncoder | ImageEncoder]:
        """Told apart by their weights, which are read only where there is something to choose."""
        return list_encoders(self.models)

    def __call__(self, runtime: Runtime) -> float:
        """The sum over the networks, each of which is asked once for a pair; without any, all runtimes are alike."""
        if not self.encoders:
            return 1.0
        return sum(self._find(encoder, runtime) for encoder in self.encoders)

    def _find(self, encoder: TextEncoder | ImageEncoder, runtime: Runtime) -> float:
        name = _name(encoder, runtime)
        if name in _measured:
            return _measured[name]
        path = self.folder / f"speed-{name}.json"
        try:
            seconds = float(json.loads(path.read_text())["seconds"])
        except (OSError, ValueError, KeyError):
            seconds = self._measure(encoder, runtime)
            with write_atomically(path) as draft:
                draft.write_text(json.dumps({"seconds": seconds, "runtime": runtime.name}) + "\n")
        _measured[name] = seconds
        return seconds

    def _measure(self, encoder: TextEncoder | ImageEncoder, runtime: Runtime) -> float:
        with tempfile.TemporaryDirectory() as folder:
            examples = choose_examples(self.models[0].text.tokenizer, self.find_examples, Path(folder), PAIRS)
            seconds = measure_seconds(encoder, runtime, examples)
        kind = "texts" if isinstance(encoder, TextEncoder) else "images"
        logger.info("%s: %.1f %s a second by %s", runtime.name, 1 / seconds, kind, encoder.config.name)
        return seconds


def list_encoders(models: Sequence[EncoderPair]) -> list[TextEncoder | ImageEncoder]:
    """Those that scoring asks, each once."""
    found: dict[str, TextEncoder | ImageEncoder] = {}
    for model in models:
        if model.reads_text:
            found.setdefault(fingerprint(model.text), model.text)
        found.setdefault(fingerprint(model.image), model.image)
    return [*found.values()]


def measure_seconds(encoder: TextEncoder | ImageEncoder, runtime: Runtime, examples: ShardFile) -> float:
    """Seconds a pair, by the stream that shards go through: decoding and tokens are in it, as they are in scoring."""
    stream = EmbeddingStream(runtime, PipelineTimings())
    texts: list[TextEmbedder] = []
    images: list[ImageEmbedder] = []
    if isinstance(encoder, TextEncoder):
        texts.append(prepare_text(encoder, runtime, stream.workers))
    else:
        images.append(prepare_image(encoder, runtime, stream.workers))
    least = math.inf
    for turn in range(1 + TURNS):
        began = time.perf_counter()
        (done,) = stream.run([Job(examples, texts, images)])
        if done.error is not None:
            raise done.error
        if turn:
            least = min(least, time.perf_counter() - began)
    return least / examples.pairs


def _name(encoder: TextEncoder | ImageEncoder, runtime: Runtime) -> str:
    """32 hex digits: of the network's shape, what computes, and with how many threads."""
    shape = [(name, list(tensor.shape)) for name, tensor in sorted(encoder.state_dict().items())]
    settings = encoder.config.model_dump(mode="json", exclude={"finetune", "optimizer", "name", "weights"})
    told = [type(encoder).__name__, settings, shape, runtime.name, count_workers(runtime), *describe_machine(runtime)]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
