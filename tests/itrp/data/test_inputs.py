import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from itrp.data.images import load_pixels
from itrp.data.inputs import READ_ROWS, Rows, ShardFile, cache_pixels, find_pixels, iter_pixels, read_ids, read_texts
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import SyntheticTweet
from itrp.pixel_format import PixelFormat


def test_ids_and_texts_come_in_stored_order(shards: list[ShardFile], tweets: list[SyntheticTweet]) -> None:
    assert [name for shard in shards for name in read_ids(shard)] == [tweet.id for tweet in tweets]
    assert [text for shard in shards for text in read_texts(shard)] == [tweet.text for tweet in tweets]


def test_cached_pixels_are_those_decoded_directly(
    shards: list[ShardFile], tweets: list[SyntheticTweet], tmp_path: Path
) -> None:
    expected = np.stack([load_pixels(tweet.image, PixelFormat(48)) for tweet in tweets[34:]])
    cached = cache_pixels(shards[1], PixelFormat(48), tmp_path)
    assert cached.dtype == np.uint8
    assert isinstance(cached, np.memmap)
    assert not cached.flags.writeable
    np.testing.assert_array_equal(cached, expected)
    np.testing.assert_array_equal(np.concatenate(list(iter_pixels(shards[1], PixelFormat(48)))), expected)


def test_a_shard_of_several_reads_stays_in_order(write_shard: Callable[..., ShardFile], tmp_path: Path) -> None:
    def grey(value: int) -> bytes:
        sink = io.BytesIO()
        Image.new("L", (8, 8), value % 256).save(sink, "PNG")
        return sink.getvalue()

    count = READ_ROWS + 5
    shard = write_shard(tmp_path, [Pair(str(number), "a", grey(number), "a.png") for number in range(count)])
    batches = list(iter_pixels(shard, PixelFormat(32)))
    assert [len(batch) for batch in batches] == [READ_ROWS, 5]
    cached = cache_pixels(shard, PixelFormat(32), tmp_path / "cache")
    assert cached.shape == (count, 32, 32, 3)
    assert cached[:, 0, 0, 0].tolist() == [number % 256 for number in range(count)]


def test_pixels_are_decoded_once_and_need_no_shard_afterwards(
    shards: list[ShardFile], write_shard: Callable[..., ShardFile], tweets: list[SyntheticTweet], tmp_path: Path
) -> None:
    pairs = [Pair(tweet.id, tweet.text, tweet.image, "a.jpg") for tweet in tweets[:3]]
    shard = write_shard(tmp_path, pairs)
    assert find_pixels(shard, PixelFormat(32), tmp_path / "cache") is None
    first = np.array(cache_pixels(shard, PixelFormat(32), tmp_path / "cache"))
    file = next((tmp_path / "cache").rglob("*.npy"))
    os.utime(file, (1, 1))
    shard.path.unlink()
    np.testing.assert_array_equal(cache_pixels(shard, PixelFormat(32), tmp_path / "cache"), first)
    found = find_pixels(shard, PixelFormat(32), tmp_path / "cache")
    assert found is not None
    np.testing.assert_array_equal(found, first)
    assert file.stat().st_mtime == 1
    assert find_pixels(shard, PixelFormat(33), tmp_path / "cache") is None  # another size is another file
    assert find_pixels(shard, PixelFormat(32, "torchvision"), tmp_path / "cache") is None
    assert find_pixels(shards[0], PixelFormat(32), tmp_path / "cache") is None


def test_what_a_killed_run_left_half_written_is_not_taken(
    shards: list[ShardFile], tweets: list[SyntheticTweet], tmp_path: Path
) -> None:
    folder = tmp_path / "pixels-32"
    folder.mkdir()
    for pid in (os.getpid(), 999_999):
        (folder / f"{shards[1].hash}.{pid}.draft").write_bytes(b"half a fi")
    assert find_pixels(shards[1], PixelFormat(32), tmp_path) is None
    np.testing.assert_array_equal(
        cache_pixels(shards[1], PixelFormat(32), tmp_path)[0], load_pixels(tweets[34].image, PixelFormat(32))
    )


def test_a_shard_that_cannot_be_read_leaves_no_cache_file(shards: list[ShardFile], tmp_path: Path) -> None:
    data = shards[0].path.read_bytes()
    broken = ShardFile(shards[0].hash, tmp_path / "broken.parquet", shards[0].pairs)
    broken.path.write_bytes(data[:1000] + bytes(len(data) - 3000) + data[-2000:])
    with pytest.raises(Exception, match=r".+"):
        cache_pixels(broken, PixelFormat(32), tmp_path / "cache")
    assert find_pixels(broken, PixelFormat(32), tmp_path / "cache") is None


def test_rows_of_several_parts_are_one_array() -> None:
    whole = np.arange(24).reshape(12, 2)
    rows = Rows([whole[:5], whole[5:6], whole[6:]])
    assert len(rows) == 12
    wanted = np.array([11, 0, 5, 4, 6, 5, 5])
    np.testing.assert_array_equal(rows.take(wanted), whole[wanted])
    np.testing.assert_array_equal(rows.take(np.arange(12)), whole)


def test_rows_that_were_read_do_not_stay_in_memory(tmp_path: Path) -> None:
    """Of two memory maps of 16 MiB each, in a process of its own, whose pages nobody else's reading brings back."""
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.tile(np.arange(256, dtype=np.uint8), (2048, 32)))
    script = """
import sys
import numpy as np
from pathlib import Path
from itrp.data.inputs import Rows

def mapped():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))

parts = [np.load(Path(sys.argv[1]) / f"{name}.npy", mmap_mode="r") for name in "ab"]
before = mapped()
kept = Rows(parts)
for start in range(0, 4096, 64):
    np.testing.assert_array_equal(kept.take(np.arange(start, start + 64))[:, 0], 0)
print(mapped() - before)
[part.sum() for part in parts]
print(mapped() - before)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    taken, whole = map(int, done.stdout.split())
    assert taken < 2048 < 30_000 < whole  # KiB: what was taken was given back, what numpy read by itself was not
