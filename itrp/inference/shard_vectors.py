"""Vectors of whole shards for models on one runtime: those that are kept are read, the others computed batch by batch."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.data.set_aside import keep_set_aside
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.embeddings import EmbeddingCache, keep_array, vector_file
from itrp.inference.pipeline import Embedded, EmbeddingStream, Job, count_workers
from itrp.inference.prediction import ShardPredictor, predict_shard
from itrp.inference.prepared_model import PreparedModel
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.device import Vectors
from itrp.models.encoder_pair import EncoderPair


class ShardVectors:
    """The encoders of some models over shard after shard. Vectors of encoders that nobody has fine-tuned are kept in `folder`:
    other models have these encoders too."""

    def __init__(self, runtime: Runtime, folder: Path, times: PipelineTimings) -> None:
        self.runtime = runtime
        self.folder = folder
        self.times = times

    def plan(self, shard: ShardFile, models: Iterable[PreparedModel]) -> Job:
        """The encoders whose vectors these models need and nobody has kept; each once, though several models may have it."""
        texts, images = {}, {}
        for model in models:
            texts[model.text.fingerprint] = model.text
            images[model.image.fingerprint] = model.image
        return Job(
            shard,
            [embedder for name, embedder in texts.items() if not self._file(name, shard).exists()],
            [embedder for name, embedder in images.items() if not self._file(name, shard).exists()],
        )

    def run(self, jobs: Iterable[Job]) -> Iterator[Embedded]:
        """What the encoders make of each, in order."""
        return EmbeddingStream(self.runtime, self.times).run(jobs)

    def complete(self, embedded: Embedded, models: Iterable[PreparedModel]) -> dict[str, Vectors]:
        """All vectors that these models need, by the encoder's fingerprint; rows that are set aside are remembered.

        Raises what kept the shard from being embedded.
        """
        if embedded.error is not None:
            raise embedded.error
        shard = embedded.job.shard
        if embedded.set_aside:
            keep_set_aside(shard.hash, embedded.set_aside, self.folder)
        vectors = dict(embedded.vectors)
        for model in models:
            for name in (model.text.fingerprint, model.image.fingerprint):
                path = self._file(name, shard)
                if name not in vectors:
                    vectors[name] = np.load(path, mmap_mode="r")
                elif name in model.untouched and not path.exists():
                    keep_array(path, vectors[name])
        return vectors

    def _file(self, encoder: str, shard: ShardFile) -> Path:
        return vector_file(self.folder, encoder, self.runtime.name, shard)


def predict_exactly(
    system: EncoderPair | ShardPredictor, shards: Sequence[ShardFile], cache: EmbeddingCache
) -> Iterator[NDArray[np.float32]]:
    """[n, k] probabilities of each shard's pairs, on the device of `cache`, which is where the system lies.

    On a CPU a pair of encoders takes the batches that scoring in fp32 takes, each on one core: equal to the last bit.
    """
    if not isinstance(system, EncoderPair) or cache.device.type != "cpu":
        yield from (predict_shard(system, shard, cache) for shard in shards)
        return
    runtime = exact_runtime(cache.device)
    threads = count_workers(runtime)
    text, image = prepare_text(system.text, runtime, threads), prepare_image(system.image, runtime, threads)
    models = [PreparedModel(system, text, image)]
    vectors = ShardVectors(runtime, cache.folder, PipelineTimings())
    for embedded in vectors.run(vectors.plan(shard, models) for shard in shards):
        yield models[0].classify(vectors.complete(embedded, models), embedded.job.shard)
