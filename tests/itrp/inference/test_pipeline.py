"""Shards through the encoders: the same vectors whatever else goes on, and a shard that fails harms no other."""

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.rejections import REASONS
from itrp.datasets.synthetic import SyntheticTweet
from itrp.inference.embedders import ImageEmbedder, TextEmbedder, prepare_image, prepare_text
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.pipeline import EmbeddingStream, Job, count_workers
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.inference.timings import PipelineTimings
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import build_model
from tests.poison import palette_without_colours

CPU = torch.device("cpu")
EXACT = exact_runtime(CPU)
Embedders = tuple[TextEmbedder, ImageEmbedder]


@pytest.fixture(scope="module")
def embedders(make_config: Callable[..., ExperimentConfig]) -> Embedders:
    model = build_model(make_config("small-text"))
    return prepare_text(model.text, EXACT), prepare_image(model.image, EXACT)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]


def make_stream(workers: int = 2, runtime: Runtime = EXACT) -> EmbeddingStream:
    stream = EmbeddingStream(runtime, PipelineTimings())
    stream.workers = workers
    return stream


def make_jobs(shards: list[ShardFile], embedders: Embedders) -> list[Job]:
    return [Job(shard, [embedders[0]], [embedders[1]]) for shard in shards]


def find_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Of the largest number: a random network's may all be tiny."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_vectors_are_those_of_the_cache_however_many_work(
    embedders: Embedders,
    shards: list[ShardFile],
    tmp_path: Path,
    make_config: Callable[..., ExperimentConfig],
    workers: int,
) -> None:
    stream = make_stream(workers)
    found = list(stream.run(make_jobs(shards, embedders)))
    alone = next(make_stream(1).run(make_jobs(shards[1:], embedders)))
    assert [done.job.shard for done in found] == shards
    model, cache = build_model(make_config("small-text")), EmbeddingCache(tmp_path, CPU)
    for done, shard in zip(found, shards, strict=True):
        assert done.error is None
        text, image = (done.vectors[embedder.fingerprint] for embedder in embedders)
        np.testing.assert_allclose(text, cache.embed_texts(model.text, shard), atol=1e-5)
        assert find_error(image, cache.embed_images(model.image, shard)) < 1e-4
    for embedder in embedders:  # to the last bit, whatever came before it and however many threads there were
        np.testing.assert_array_equal(found[1].vectors[embedder.fingerprint], alone.vectors[embedder.fingerprint])
    assert set(stream.times.figures()) >= {"decode", "compute", "compute_waits_for_decode", "read_waits_for_compute"}


def test_only_what_is_asked_for_is_computed(embedders: Embedders, shards: list[ShardFile]) -> None:
    text, image = embedders
    gone = ShardFile("f" * 64, Path("/no/such/file"), 7)
    jobs = [Job(gone), Job(shards[0], [text]), Job(gone), Job(shards[1], (), [image]), Job(gone)]
    found = list(make_stream().run(jobs))
    assert [set(done.vectors) for done in found] == [set(), {text.fingerprint}, set(), {image.fingerprint}, set()]
    assert [done.error for done in found] == [None] * 5


def test_every_encoder_reads_the_pixels_of_its_format(
    make_config: Callable[..., ExperimentConfig],
    write_shard: Callable[..., ShardFile],
    tweets: list[SyntheticTweet],
    tmp_path: Path,
) -> None:
    images = [Image.open(io.BytesIO(tweet.image)).convert("RGB") for tweet in tweets[:6]]
    sinks = [io.BytesIO() for _ in images]
    for image, sink in zip(images, sinks, strict=True):
        image.save(sink, "JPEG")
    shard = write_shard(tmp_path, [Pair(str(row), "x", sink.getvalue(), "a.jpg") for row, sink in enumerate(sinks)])
    encoders = [
        build_model(make_config("small-text", f"image.decoder={name}")).image for name in ("pillow", "torchvision")
    ]
    found = next(make_stream().run([Job(shard, (), [prepare_image(encoder, EXACT) for encoder in encoders])]))
    vectors = [found.vectors[fingerprint(encoder)] for encoder in encoders]
    for encoder, vector in zip(encoders, vectors, strict=True):
        assert find_error(vector, EmbeddingCache(tmp_path, CPU).embed_images(encoder, shard)) < 1e-4
    assert 1e-4 < find_error(vectors[1], vectors[0]) < 0.1


@pytest.mark.parametrize("kind", ["truncated", "palette"])
def test_a_picture_that_cannot_be_decoded_sets_its_row_aside(
    embedders: Embedders,
    shards: list[ShardFile],
    tweets: list[SyntheticTweet],
    write_shard: Callable[..., ShardFile],
    tmp_path: Path,
    kind: str,
) -> None:
    images = [tweet.image for tweet in tweets[:34]]
    images[21] = images[21][: len(images[21]) // 2] if kind == "truncated" else palette_without_colours()
    pairs = [Pair(str(row), "some words", image, "a.jpg") for row, image in enumerate(images)]
    bad = write_shard(tmp_path, pairs)
    found = list(make_stream().run(make_jobs([shards[0], bad, shards[1]], embedders)))
    assert [done.error for done in found] == [None] * 3
    assert [done.set_aside for done in (found[0], found[2])] == [(), ()]
    (row,) = found[1].set_aside
    assert row.row == 21
    assert row.code in REASONS
    assert row.reason.startswith("expected a ")
    whole, left = (found[place].vectors[embedders[1].fingerprint] for place in (0, 1))
    np.testing.assert_array_equal(np.delete(left, 21, 0), np.delete(whole, 21, 0))
    assert np.isfinite(left).all()


def test_a_file_that_is_gone_fails_its_shard_alone(
    embedders: Embedders, shards: list[ShardFile], tmp_path: Path
) -> None:
    gone = ShardFile("f" * 64, tmp_path / "gone.parquet", 7)
    found = list(make_stream().run(make_jobs([gone, shards[1]], embedders)))
    assert isinstance(found[0].error, FileNotFoundError)
    assert found[1].error is None


def test_shards_are_taken_as_they_are_needed(embedders: Embedders, shards: list[ShardFile]) -> None:
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(40):
            taken.append(number)
            yield make_jobs(shards[1:], embedders)[0]

    stream = make_stream(2).run(jobs())
    next(stream)
    assert len(taken) <= 8  # five batches may wait, two are computed, and a shard here is three
    stream.close()


def test_the_callers_threads_stay_as_many(embedders: Embedders, shards: list[ShardFile]) -> None:
    before = torch.get_num_threads()
    list(make_stream(2).run(make_jobs(shards, embedders)))
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [before] == [torch.get_num_threads()]
    assert count_workers(EXACT) == before
    assert count_workers(Runtime(torch.device("cuda"), "bf16")) == 2
