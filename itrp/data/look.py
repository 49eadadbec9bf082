"""How images look: cheap statistics of colours, edges and lines that tell a photograph from a screenshot or a page of print.

An encoder trained on photographs of things says little about the kind of image, and whether an image adds to a tweet's meaning
is mostly about its kind.
"""

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from itrp.data.images import decode_image
from itrp.data.inputs import READ_ROWS, ShardFile
from itrp.files import write_atomically

SIZE = 128
"""Images are looked at SIZE x SIZE: an edge then means the same in a thumbnail and in a photograph."""
PIXEL_STATISTICS = (
    *("top_color", "top_colors", "color_entropy", "gray_entropy", "saturation", "saturation_deviation"),
    *("brightness", "contrast", "bright_share", "flat_share", "edge_share", "horizontal_gradient", "vertical_gradient"),
    "row_periodicity",
)
STATISTICS = (*PIXEL_STATISTICS, "aspect")
"""Names of the columns. A change of any of them needs a new LOOK_FOLDER."""
LOOK_FOLDER = f"look-1-{SIZE}"
"""Where they are kept, one file a shard."""

TOP_COLORS = 5
COLOR_BITS, GRAY_BITS = 3, 6
"""Bits of a channel, and of brightness, that count as different."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""
BRIGHT = 240 / 255
"""As paper and most screens are."""
FLAT, EDGE = 2 / 255, 64 / 255
"""Steps of brightness between neighbours: nothing to be seen, and the border of a letter."""
SHORTEST_PERIOD = 2
"""Rows between two lines of print, at least; at most a quarter of the image."""


def describe_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[14] PIXEL_STATISTICS of one image [h, w, 3], h and w at least 2; all but the periodicity lie between 0 and 1."""
    gray = (pixels.astype(np.float64) @ np.array(LUMA)) / 255
    across, down = np.abs(np.diff(gray, axis=1)), np.abs(np.diff(gray, axis=0))
    steps = np.maximum(across[:-1], down[:, :-1])
    colors = _count_shares(_quantise(pixels), 3 * COLOR_BITS)
    grays = _count_shares((gray * 255).astype(np.int64) >> (8 - GRAY_BITS), GRAY_BITS)
    saturation = _saturations(pixels)
    values = (
        colors[0],
        colors[:TOP_COLORS].sum(),
        _entropy(colors, 3 * COLOR_BITS),
        _entropy(grays, GRAY_BITS),
        saturation.mean(),
        saturation.std(),
        gray.mean(),
        gray.std(),
        (gray > BRIGHT).mean(),
        (steps < FLAT).mean(),
        (steps > EDGE).mean(),
        across.mean(),
        down.mean(),
        measure_periodicity(across.mean(axis=1)),
    )
    return np.array(values, dtype=np.float32)


def measure_periodicity(profile: NDArray[np.float64]) -> float:
    """How regularly a profile [h] comes and goes, from 0 to about 2: lines of print are rows with edges, gaps rows without.

    The largest rise of the autocorrelation after a fall: what merely changes slowly has a high one that only falls.
    """
    centred = profile - profile.mean()
    power = float(centred @ centred)
    longest = len(profile) // 4
    if power < 1e-12 or longest < SHORTEST_PERIOD:
        return 0.0
    lags = np.array([centred[: len(centred) - lag] @ centred[lag:] for lag in range(longest + 1)]) / power
    rises = lags - np.minimum.accumulate(lags)
    return float(rises[SHORTEST_PERIOD:].max())


def describe_image(data: bytes) -> NDArray[np.float32]:
    """[15] STATISTICS of an image's bytes; the aspect is the logarithm of width over height. Of one that cannot be decoded zeros:
    it is set aside by whoever embeds it."""
    try:
        image = decode_image(data)
    except MemoryError:  # says something about this machine, not about the image
        raise
    except Exception:  # a decoder may raise anything on a hostile file
        return np.zeros(len(STATISTICS), dtype=np.float32)
    small = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.uint8)
    return np.append(describe_pixels(small), np.float32(np.log(image.width / image.height)))


def read_look(shard: ShardFile, folder: Path | None = None) -> NDArray[np.float32]:
    """[n, 15] STATISTICS of a shard's images, in stored order.

    folder: where they are kept beside the embeddings, and read where they lie; None computes them.
    """
    path = folder / LOOK_FOLDER / f"{shard.hash}.npy" if folder is not None else None
    if path is not None and path.exists():
        kept: NDArray[np.float32] = np.load(path)
        return kept
    found = _describe_shard(shard)
    if path is not None:
        with write_atomically(path) as draft, draft.open("wb") as file:
            np.save(file, found)
    return found


def _describe_shard(shard: ShardFile) -> NDArray[np.float32]:
    """Decoded by threads, a part of the shard at a time."""
    rows: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(cpu_count() or 1) as pool, pq.ParquetFile(shard.path) as file:
        for batch in file.iter_batches(READ_ROWS, columns=["image"]):
            rows += pool.map(describe_image, batch.column(0).field("bytes").to_pylist())
    return np.stack(rows) if rows else np.empty((0, len(STATISTICS)), dtype=np.float32)


def _quantise(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[h, w] number of each pixel's coarse colour."""
    red, green, blue = (pixels[..., channel].astype(np.int64) >> (8 - COLOR_BITS) for channel in range(3))
    return (red << 2 * COLOR_BITS) | (green << COLOR_BITS) | blue


def _count_shares(values: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    """[2 ** bits] share of each value, the most frequent first."""
    counts = np.bincount(values.ravel(), minlength=1 << bits)
    return np.sort(counts)[::-1] / values.size


def _entropy(shares: NDArray[np.float64], bits: int) -> float:
    """0 for one value alone, 1 where all are equally frequent."""
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum() / bits)


def _saturations(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[h, w] saturation of HSV; black has none."""
    most = pixels.max(axis=2).astype(np.float64)
    found: NDArray[np.float64] = (most - pixels.min(axis=2)) / np.maximum(most, 1)
    return found
