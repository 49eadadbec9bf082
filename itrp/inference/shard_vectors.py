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
from itrp.inference.prediction import ShardPredictor, VectorModel, predict_shard
from itrp.inference.prepared_model import PreparedModel
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.device import Vectors
from itrp.models.encoder_pair import EncoderPair
from itrp.progress import Count, ignore_count


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
            if model.model.reads_text:
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
            for name in model.needed:
                path = self._file(name, shard)
                if name not in vectors:
                    vectors[name] = self.read(name, shard)
                elif name in model.untouched and not path.exists():
                    keep_array(path, vectors[name])
        return vectors

    def read(self, encoder: str, shard: ShardFile) -> Vectors:
        """A memory map of vectors that are kept."""
        found: Vectors = np.load(self._file(encoder, shard), mmap_mode="r")
        return found

    def _file(self, encoder: str, shard: ShardFile) -> Path:
        return vector_file(self.folder, encoder, self.runtime.name, shard)


def read_frozen_vectors(
    system: EncoderPair,
    shards: Sequence[ShardFile],
    cache: EmbeddingCache,
    count: Count = ignore_count,
    runtime: Runtime | None = None,
) -> Iterator[tuple[Vectors, Vectors]]:
    """Text and image vectors of shards whose encoders nobody fine-tunes, [n, d] memory maps each, kept in `cache`.

    On a CPU they are those that scoring on the same runtime (torch in fp32 by default) computes, to the last bit, and finds
    kept. count: is called with the texts and images that are ready.
    """
    if cache.device.type != "cpu":
        yield from zip(
            cache.text_vectors(system.text, shards, count),
            cache.image_vectors(system.image, shards, count),
            strict=True,
        )
        return
    models, vectors = _prepare(system, cache, runtime or exact_runtime(cache.device))
    for embedded in vectors.run(vectors.plan(shard, models) for shard in shards):
        shard = embedded.job.shard
        vectors.complete(embedded, models)
        count(2 * shard.pairs)
        yield vectors.read(models[0].text.fingerprint, shard), vectors.read(models[0].image.fingerprint, shard)


def predict_exactly(
    system: VectorModel | ShardPredictor, shards: Sequence[ShardFile], cache: EmbeddingCache
) -> Iterator[NDArray[np.float32]]:
    """[n, k] probabilities of each shard's pairs, on the device of `cache`, which is where the system lies.

    On a CPU a pair of encoders takes the batches that scoring in fp32 takes, each on one core: equal to the last bit.
    """
    if not isinstance(system, EncoderPair) or cache.device.type != "cpu":
        yield from (predict_shard(system, shard, cache) for shard in shards)
        return
    models, vectors = _prepare(system, cache, exact_runtime(cache.device))
    for embedded in vectors.run(vectors.plan(shard, models) for shard in shards):
        yield models[0].classify(vectors.complete(embedded, models), embedded.job.shard)


def _prepare(system: EncoderPair, cache: EmbeddingCache, runtime: Runtime) -> tuple[list[PreparedModel], ShardVectors]:
    """The system on a runtime, its weights left as they are."""
    threads = count_workers(runtime)
    text, image = prepare_text(system.text, runtime, threads), prepare_image(system.image, runtime, threads)
    return [PreparedModel(system, text, image)], ShardVectors(runtime, cache.folder, PipelineTimings())
