"""Shard after shard through the encoders: images are decoded and texts tokenised by threads while others compute.

Every batch is cut from the shard alone and computed by one thread, so that a shard's vectors depend neither on the shards
around it nor on how many threads there are.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import cpu_count

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from itrp.data.inputs import ShardFile, read_texts
from itrp.data.set_aside import SetAside, load_or_blank
from itrp.inference.embedders import ImageEmbedder, TextEmbedder
from itrp.inference.runtimes import Runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.device import Vectors
from itrp.pixel_format import PixelFormat

DECODED_TOGETHER = 16
"""Images a decoding task takes."""


@dataclass(frozen=True)
class Job:
    """A shard and the encoders it has to go through; none is a job too, that is done at once."""

    shard: ShardFile
    texts: Sequence[TextEmbedder] = ()
    images: Sequence[ImageEmbedder] = ()


@dataclass
class Embedded:
    """A job's vectors by the encoder's fingerprint, [n, d] each, or what kept it from having them."""

    job: Job
    vectors: dict[str, Vectors] = field(default_factory=dict)
    error: Exception | None = None
    set_aside: tuple[SetAside, ...] = ()
    """Rows whose images could not be decoded, in order: their image vectors are those of a black image."""


class EmbeddingStream:
    """Threads that embed jobs in order. Between the stages stand bounded queues: memory does not grow with the shards."""

    def __init__(self, runtime: Runtime, times: PipelineTimings) -> None:
        self.runtime = runtime
        self.times = times
        self.workers = count_workers(runtime)
        self.decoders = cpu_count() or 1

    def run(self, jobs: Iterable[Job]) -> Iterator[Embedded]:
        """Each job's vectors, in the jobs' order. A job that fails does not touch the others."""
        with self._open_pools() as (decoding, computing):
            places = threading.BoundedSemaphore(2 * self.workers + 1)
            begun: deque[_Running] = deque()
            for job in jobs:
                begun.append(_Running(job))
                for act in self._cut(begun[-1], decoding):
                    with self.times.waiting("read", "compute"):
                        places.acquire()
                    begun[-1].submit(computing, act, places)
                    while len(begun) > 1 and begun[0].done:
                        yield begun.popleft().result()
                    if begun[-1].error is not None:
                        break
                while begun and begun[0].done:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()

    def _cut(self, running: "_Running", decoding: ThreadPoolExecutor) -> Iterator[Callable[[], None]]:
        """What there is to do for a job, a batch at a time, the texts first. What cannot be read is the job's error."""
        job = running.job
        try:
            for embedder in job.texts:
                yield from self._cut_texts(running, embedder, decoding)
            for form in sorted({embedder.pixels for embedder in job.images}):
                wanted = [embedder for embedder in job.images if embedder.pixels == form]
                yield from self._cut_images(running, wanted, form, decoding)
        except Exception as error:
            running.error = error

    def _cut_texts(
        self, running: "_Running", embedder: TextEmbedder, decoding: ThreadPoolExecutor
    ) -> Iterator[Callable[[], None]]:
        """Texts of like length share a batch: padding is computed like words."""
        size = self.runtime.text_batch

        def tokenize() -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
            with self.times.working("decode"):
                rows = embedder.tokenize(read_texts(running.job.shard))
                return rows, np.argsort([len(row) for row in rows], kind="stable")

        def compute(start: int) -> None:
            with self.times.waiting("compute", "decode"):
                rows, order = tokenized.result()
            places = order[start : start + size]
            with self.times.working("compute"):
                running.keep(embedder.fingerprint, places, embedder.embed([rows[place] for place in places]))

        tokenized = decoding.submit(tokenize)
        for start in range(0, running.job.shard.pairs, size):
            yield lambda start=start: compute(start)  # type: ignore[misc]  # the default binds it now

    def _cut_images(
        self, running: "_Running", embedders: Sequence[ImageEmbedder], form: PixelFormat, decoding: ThreadPoolExecutor
    ) -> Iterator[Callable[[], None]]:
        """Decoded once for all encoders that take these pixels."""

        def compute(start: int, parts: list[Future[tuple[NDArray[np.uint8], list[SetAside]]]]) -> None:
            with self.times.waiting("compute", "decode"):
                decoded = [part.result() for part in parts]
            pixels = np.concatenate([part for part, _ in decoded])
            running.set_aside(each for _, rejected in decoded for each in rejected)
            for embedder in embedders:
                with self.times.working("compute"):
                    running.keep(embedder.fingerprint, slice(start, start + len(pixels)), embedder.embed(pixels))

        start = 0
        with pq.ParquetFile(running.job.shard.path) as file:
            for batch in file.iter_batches(self.runtime.image_batch, columns=["image"]):
                images = batch.column(0).field("bytes").to_pylist()
                parts = [
                    decoding.submit(self._decode, start + first, images[first:][:DECODED_TOGETHER], form)
                    for first in range(0, len(images), DECODED_TOGETHER)
                ]
                yield lambda start=start, parts=parts: compute(start, parts)  # type: ignore[misc]
                start += len(images)

    def _decode(
        self, first: int, images: Sequence[bytes], form: PixelFormat
    ) -> tuple[NDArray[np.uint8], list[SetAside]]:
        """[b, size, size, 3] pixels of the rows from `first` on, and those of them that cannot be decoded, which are black."""
        pixels = np.empty((len(images), form.size, form.size, 3), dtype=np.uint8)
        found = []
        with self.times.working("decode"):
            for place, data in enumerate(images):
                pixels[place], rejected = load_or_blank(data, form, first + place)
                if rejected is not None:
                    found.append(rejected)
        return pixels, found

    @contextmanager
    def _open_pools(self) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
        decoding = ThreadPoolExecutor(self.decoders, thread_name_prefix="decode")
        computing = ThreadPoolExecutor(self.workers, thread_name_prefix="compute", initializer=_compute_alone)
        try:
            yield decoding, computing
        finally:
            computing.shutdown(cancel_futures=True)
            decoding.shutdown(cancel_futures=True)


class _Running:
    """A job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error: Exception | None = None
        self._vectors: dict[str, Vectors] = {}
        self._set_aside: dict[int, SetAside] = {}
        self._open: set[Future[None]] = set()
        self._lock = threading.Lock()

    def submit(self, pool: ThreadPoolExecutor, act: Callable[[], None], places: threading.BoundedSemaphore) -> None:
        """Have a batch computed; its place is free afterwards."""

        def run() -> None:
            try:
                if self.error is None:
                    act()
            except Exception as error:
                self.error = self.error or error
            finally:
                places.release()

        self._open = {future for future in self._open if not future.done()} | {pool.submit(run)}

    def keep(self, fingerprint: str, places: NDArray[np.int64] | slice, vectors: Vectors) -> None:
        """Put a batch's vectors at their places in the shard."""
        with self._lock:
            whole = self._vectors.get(fingerprint)
            if whole is None:
                whole = self._vectors[fingerprint] = np.empty(
                    (self.job.shard.pairs, vectors.shape[1]), dtype=np.float32
                )
        whole[places] = vectors

    def set_aside(self, found: Iterable[SetAside]) -> None:
        """Rows that cannot be decoded in one of the formats asked for."""
        with self._lock:
            for each in found:
                self._set_aside.setdefault(each.row, each)

    @property
    def done(self) -> bool:
        """Whether `result` has nothing to wait for."""
        return all(future.done() for future in self._open)

    def result(self) -> Embedded:
        """Waits for what is under way."""
        for future in self._open:
            future.result()
        if self.error is not None:
            return Embedded(self.job, error=self.error)
        return Embedded(
            self.job, self._vectors, set_aside=tuple(self._set_aside[row] for row in sorted(self._set_aside))
        )


def count_workers(runtime: Runtime) -> int:
    """Batches computed at once. On a CPU one a thread that torch may use: threads that share a batch wait for each other
    inside every layer. On a GPU two, so that one's kernels run while the other's vectors are fetched."""
    return 2 if runtime.device.type == "cuda" else max(1, torch.get_num_threads())


def _compute_alone() -> None:
    """One core a batch. Not by torch.set_num_threads, which would be for every thread of the process that starts later."""
    torch.get_num_threads()  # torch reads the process's number once in every thread: before it is changed here
    ThreadpoolController().limit(limits=1, user_api="openmp")
