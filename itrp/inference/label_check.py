"""Whether a quick runtime says what torch says in fp32: tried on example pairs before a model labels anything with it."""

import json
import logging
import platform
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.datasets.synthetic import generate_tweets
from itrp.files import write_atomically
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.pipeline import EmbeddingStream, Job
from itrp.inference.prediction import classify_vectors
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.itrp_model import ItrpModel, fingerprint

logger = logging.getLogger(__name__)

EXAMPLES = 100
"""Made-up pairs tried, where there are no real ones: half a minute of one core with BERT-base and ResNet-101."""
SEED = 0
AGREEMENT = 0.99
"""Share of equal labels from which on a runtime may be used."""


def settle_runtime(models: Sequence[ItrpModel], candidates: Sequence[Runtime], folder: Path) -> Runtime:
    """The first of some runtimes of one device on which all models keep their labels, else torch in fp32; with a warning.

    folder: keeps each verdict, by model, runtime and what computes; a machine tries a model once.
    """
    exact = exact_runtime(candidates[0].device)
    for wanted, other in pairwise([*candidates, exact]):
        if wanted == exact:
            break
        worst = min((_find_share(model, wanted, folder) for model in models), default=1.0)
        if worst >= AGREEMENT:
            return wanted
        logger.warning(
            "%s keeps only %.1f %% of the labels that a model gives in fp32 (%d example pairs): %s is next, which is slower",
            wanted.name,
            100 * worst,
            _count_examples(wanted),
            other.name,
        )
    return exact


def measure_agreement(model: ItrpModel, runtime: Runtime) -> float:
    """Share of the example pairs, 0 to 1, that keep the cluster that torch gives them in fp32."""
    with tempfile.TemporaryDirectory() as folder:
        examples = runtime.calibration.trial if runtime.calibration is not None else _write_examples(Path(folder))
        expected = predict_examples(model, exact_runtime(runtime.device), examples)
        return share_kept(expected, predict_examples(model, runtime, examples))


def predict_examples(model: ItrpModel, runtime: Runtime, examples: ShardFile) -> NDArray[np.float32]:
    """[n, k] cluster probabilities on a runtime, as any shard would get them."""
    stream = EmbeddingStream(runtime, PipelineTimings())
    text = prepare_text(model.text, runtime, stream.workers)
    image = prepare_image(model.image, runtime, stream.workers)
    (done,) = stream.run([Job(examples, [text], [image])])
    if done.error is not None:
        raise done.error
    vectors = done.vectors[text.fingerprint], done.vectors[image.fingerprint]
    return classify_vectors(model, *vectors, next(model.head.parameters()).device)


def share_kept(expected: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """Share of equal most probable columns in two [n, k] tables; what is not a number agrees with nothing."""
    return float(((expected.argmax(axis=1) == found.argmax(axis=1)) & np.isfinite(found).all(axis=1)).mean())


def _find_share(model: ItrpModel, runtime: Runtime, folder: Path) -> float:
    """Measured once, then read."""
    key = json.dumps(
        [
            fingerprint(model.text),
            fingerprint(model.image),
            sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in model.head.parameters())).hexdigest(),
            runtime.name,
            *_describe_machine(runtime),
        ]
    )
    path = folder / f"{sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        return float(json.loads(path.read_text())["kept"])
    except (OSError, ValueError, KeyError):
        share = measure_agreement(model, runtime)
    examples = _count_examples(runtime)
    logger.info("%s keeps %.1f %% of a model's labels on %d example pairs", runtime.name, 100 * share, examples)
    with write_atomically(path) as draft:
        draft.write_text(json.dumps({"kept": share, "runtime": runtime.name, "examples": examples}) + "\n")
    return share


def _count_examples(runtime: Runtime) -> int:
    return EXAMPLES if runtime.calibration is None else runtime.calibration.trial.pairs


def _describe_machine(runtime: Runtime) -> list[str]:
    if runtime.device.type == "cuda":
        return [torch.cuda.get_device_name(runtime.device), torch.__version__]
    libraries = [version("openvino")] if runtime.library == "openvino" else [torch.__version__]
    libraries += [version("nncf")] if runtime.precision == "int8" else []
    return [platform.machine(), str(torch.cpu.get_capabilities().get("cpu_name", "")), *libraries]


def _write_examples(folder: Path) -> ShardFile:
    data = _encode_examples()
    path = folder / "examples.parquet"
    path.write_bytes(data)
    return ShardFile(shard_hash(data), path, EXAMPLES)


@lru_cache(maxsize=1)
def _encode_examples() -> bytes:
    tweets = generate_tweets(EXAMPLES, SEED)
    return encode_shard([Pair(tweet.id, tweet.text, tweet.image, f"{tweet.id}{tweet.suffix}") for tweet in tweets])
