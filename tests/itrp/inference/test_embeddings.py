import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.images import load_pixels
from itrp.data.inputs import Rows, ShardFile, cache_pixels
from itrp.datasets.synthetic import SyntheticTweet
from itrp.inference.embeddings import EmbeddingCache, embed_pixel_rows, embed_pixels, embed_tokens
from itrp.models.device import autocast, choose_device
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.pixel_format import PixelFormat

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(make_config: Callable[..., ExperimentConfig]) -> ItrpModel:
    return build_model(make_config("small-text"))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_vectors_of_a_shard_do_not_depend_on_the_batch_size(
    model: ItrpModel, shards: list[ShardFile], tweets: list[SyntheticTweet], tmp_path: Path, batch_size: int
) -> None:
    cache = EmbeddingCache(tmp_path, CPU, batch_size)
    texts = [tweet.text for tweet in tweets]
    pixels = np.stack([load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets])
    text, image = list(cache.text_vectors(model.text, shards)), list(cache.image_vectors(model.image, shards))
    assert [part.shape for part in text] == [(34, 32), (26, 32)]
    assert [part.shape for part in image] == [(34, 1024), (26, 1024)]
    assert {part.dtype for part in (*text, *image)} == {np.dtype(np.float32)}
    expected = np.concatenate([embed_tokens(model.text, model.text.tokenize([one]), CPU, 1) for one in texts])
    np.testing.assert_allclose(np.concatenate(text), expected, atol=1e-5)
    expected = embed_pixels(model.image, pixels, CPU, 60)
    np.testing.assert_allclose(np.concatenate(image), expected, atol=1e-4 * np.abs(expected).max())


def test_vectors_are_written_once_and_need_no_shard_afterwards(
    model: ItrpModel, shards: list[ShardFile], tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path, CPU)
    first = [np.array(part) for part in cache.text_vectors(model.text, shards)]
    files = files_of(tmp_path)
    folder = tmp_path / f"vectors-{fingerprint(model.text)}-cpu"
    assert files == sorted(folder / f"{shard.hash}.npy" for shard in shards)
    for file in files:
        os.utime(file, (1, 1))
    gone = [type(shard)(shard.hash, tmp_path / "gone.parquet", shard.pairs) for shard in shards]
    for part, before in zip(EmbeddingCache(tmp_path, CPU, 3).text_vectors(model.text, gone), first, strict=True):
        np.testing.assert_array_equal(part, before)
    assert [file.stat().st_mtime for file in files] == [1, 1]
    assert files_of(tmp_path) == files
    with pytest.raises(FileNotFoundError):  # pictures have files of their own
        list(cache.image_vectors(model.image, gone))


def test_what_a_killed_run_left_half_written_is_not_taken(
    model: ItrpModel, shards: list[ShardFile], tmp_path: Path
) -> None:
    folder = tmp_path / f"vectors-{fingerprint(model.image)}-cpu"
    folder.mkdir()
    for pid in (os.getpid(), 999_999):
        (folder / f"{shards[1].hash}.{pid}.draft").write_bytes(b"half a fi")
    found = next(EmbeddingCache(tmp_path, CPU).image_vectors(model.image, shards[1:]))
    clean = next(EmbeddingCache(tmp_path / "clean", CPU).image_vectors(model.image, shards[1:]))
    np.testing.assert_array_equal(found, clean)


def test_another_encoder_does_not_get_these_vectors(
    model: ItrpModel, make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path, CPU)
    mean = np.array(next(cache.text_vectors(model.text, shards)))
    cls = next(cache.text_vectors(build_model(make_config("small-text", "text.pooling=cls")).text, shards))
    assert np.abs(mean - cls).max() > 1e-2
    assert len(list(tmp_path.iterdir())) == 2


def test_an_encoder_in_training_leaves_no_vectors_behind(
    model: ItrpModel, shards: list[ShardFile], tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path, CPU)
    model.train()
    text, image = cache.embed_texts(model.text, shards[0]), cache.embed_images(model.image, shards[0])
    assert files_of(tmp_path) == []
    # computed in evaluation mode all the same: no dropout, no statistics of the batch
    np.testing.assert_array_equal(text, next(cache.text_vectors(model.text, shards)))
    np.testing.assert_array_equal(image, next(cache.image_vectors(model.image, shards)))


def test_pixels_that_were_cached_are_used(model: ItrpModel, shards: list[ShardFile], tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, CPU)
    expected = cache.embed_images(model.image, shards[1])
    cache_pixels(shards[1], PixelFormat(64), tmp_path)
    gone = type(shards[1])(shards[1].hash, tmp_path / "gone.parquet", shards[1].pairs)
    np.testing.assert_allclose(cache.embed_images(model.image, gone), expected, atol=1e-4 * np.abs(expected).max())


def test_chosen_rows_are_those_of_the_whole(model: ItrpModel, tweets: list[SyntheticTweet]) -> None:
    pixels = np.stack([load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets[:9]])
    whole = embed_pixels(model.image, pixels, CPU, 9)
    wanted = np.array([8, 0, 3, 4, 0])
    chosen = embed_pixel_rows(model.image, Rows([pixels[:4], pixels[4:]]), wanted, CPU, 2)
    np.testing.assert_allclose(chosen, whole[wanted], atol=1e-5)


def test_devices_and_precision() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
