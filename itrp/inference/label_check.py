"""Whether a quick runtime says what torch says in fp32: tried on example pairs before a model labels anything with it."""

import json
import logging
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.files import write_atomically
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.examples import FindExamples, choose_examples, describe_machine
from itrp.inference.pipeline import EmbeddingStream, Job
from itrp.inference.prepared_model import PreparedModel
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.encoder_pair import EncoderPair, fingerprint

logger = logging.getLogger(__name__)

EXAMPLES = 100
"""Pairs tried, at most: half a minute of one core with BERT-base and ResNet-101."""
AGREEMENT = 0.99
"""Share of equal labels from which on a runtime may be used."""


class Verdict(NamedTuple):
    """What a trial has shown."""

    kept: float
    """Share of the pairs, 0 to 1, whose cluster is that of torch in fp32."""
    examples: int
    """Pairs tried."""


def settle_runtime(
    models: Sequence[EncoderPair],
    candidates: Sequence[Runtime],
    folder: Path,
    find_examples: FindExamples | None = None,
) -> Runtime:
    """The first of some runtimes of one device on which all models keep their labels, else torch in fp32; with a warning.

    folder: keeps each verdict, by model, runtime and what computes; a machine tries a model once. find_examples: is asked
    where there is no verdict yet; made-up pairs take their place where it finds none, or fewer than FEWEST.
    """
    exact = exact_runtime(candidates[0].device)
    for wanted, other in pairwise([*candidates, exact]):
        if wanted == exact:
            break
        worst = min((_find_verdict(model, wanted, folder, find_examples) for model in models), default=Verdict(1.0, 0))
        if worst.kept >= AGREEMENT:
            return wanted
        logger.warning(
            "%s keeps only %.1f %% of the labels that a model gives in fp32 (%d example pairs): trying %s, which is slower",
            wanted.name,
            100 * worst.kept,
            worst.examples,
            other.name,
        )
    return exact


def measure_agreement(model: EncoderPair, runtime: Runtime, find_examples: FindExamples | None = None) -> Verdict:
    """Which share of the example pairs keep the cluster that torch gives them in fp32."""
    with tempfile.TemporaryDirectory() as folder:
        examples = _choose_examples(model, runtime, find_examples, Path(folder))
        expected = predict_examples(model, exact_runtime(runtime.device), examples)
        return Verdict(share_kept(expected, predict_examples(model, runtime, examples)), examples.pairs)


def predict_examples(model: EncoderPair, runtime: Runtime, examples: ShardFile) -> NDArray[np.float32]:
    """[n, k] cluster probabilities on a runtime, as any shard would get them."""
    stream = EmbeddingStream(runtime, PipelineTimings())
    text = prepare_text(model.text, runtime, stream.workers)
    image = prepare_image(model.image, runtime, stream.workers)
    (done,) = stream.run([Job(examples, [text] if model.reads_text else [], [image])])
    if done.error is not None:
        raise done.error
    return PreparedModel(model, text, image).classify(done.vectors, examples)


def share_kept(expected: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """Share of equal most probable columns in two [n, k] tables; what is not a number agrees with nothing."""
    return float(((expected.argmax(axis=1) == found.argmax(axis=1)) & np.isfinite(found).all(axis=1)).mean())


def _find_verdict(model: EncoderPair, runtime: Runtime, folder: Path, find_examples: FindExamples | None) -> Verdict:
    """Measured once, then read."""
    key = json.dumps(
        [
            fingerprint(model.text),
            fingerprint(model.image),
            model.head_digest(),
            runtime.name,
            *describe_machine(runtime),
        ]
    )
    path = folder / f"{sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        known = json.loads(path.read_text())
        return Verdict(float(known["kept"]), int(known["examples"]))
    except (OSError, ValueError, KeyError):
        verdict = measure_agreement(model, runtime, find_examples)
    kept, examples = verdict
    logger.info("%s keeps %.1f %% of a model's labels on %d example pairs", runtime.name, 100 * kept, examples)
    with write_atomically(path) as draft:
        draft.write_text(json.dumps({"kept": kept, "runtime": runtime.name, "examples": examples}) + "\n")
    return verdict


def _choose_examples(
    model: EncoderPair, runtime: Runtime, find_examples: FindExamples | None, folder: Path
) -> ShardFile:
    """What int8 was not made from; else the model's own data, whose labels are what it is about; else made-up pairs."""
    if runtime.calibration is not None:
        return runtime.calibration.trial
    return choose_examples(model.text.tokenizer, find_examples, folder, EXAMPLES)
