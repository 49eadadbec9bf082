"""Decoding JPEGs of 600 x 400 once, with threads, to the memory map that training reads.

    python -m tests.benchmarks.decoding

Measures `itrp.data.inputs.cache_pixels` on all cores of this machine, and extrapolates to the target's 100,000 pictures and
16 cores; the row says so. The pictures are drawn by this machine, like photographs in what a decoder has to do (some 65 kB
each).
"""

import argparse
import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import count, cycle, islice
from pathlib import Path
from typing import get_args

from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile, cache_pixels
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.pixel_format import Decoder, PixelFormat
from tests.benchmarks.record import Row, record
from tests.benchmarks.scoring_inputs import draw_pairs
from tests.benchmarks.targets import DECODING, TARGETS
from tests.benchmarks.timing import Timing, time_in_turns

DISTINCT, SIDE = 200, 224
PICTURES, CORES, SECONDS = 100_000, 16, 12
"""What the target speaks of."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(arguments)
    record(rows(args.pictures, args.repeats), "decoding")


def rows(images: int = 2_000, repeats: int = 5) -> list[Row]:
    """The whole path with each decoder, and beside it what Pillow's JPEG decoder alone takes of it."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pairs = list(islice(cycle(draw_pairs(min(DISTINCT, images))), images))
        shard = _write_shard(work, [dataclasses.replace(pair, id=str(row)) for row, pair in enumerate(pairs)])
        numbers = count()
        ways: dict[str, Callable[[], object]] = {
            decoder: lambda decoder=decoder: cache_pixels(  # type: ignore[misc]
                shard, PixelFormat(SIDE, decoder), work / f"cache-{next(numbers)}"
            )
            for decoder in get_args(Decoder)
        }
        ways["JPEG decoder"] = lambda: [decode_image(pair.image) for pair in pairs[:DISTINCT]]
        timings = time_in_turns(ways, repeats)
    return [_tell(name, timings, images, repeats) for name in get_args(Decoder)]


def _write_shard(folder: Path, pairs: Sequence[Pair]) -> ShardFile:
    data = encode_shard(pairs)
    path = folder / "shard.parquet"
    path.write_bytes(data)
    return ShardFile(shard_hash(data), path, len(pairs))


def _tell(name: str, timings: dict[str, Timing], images: int, repeats: int) -> Row:
    whole, decoder = timings[name], timings["JPEG decoder"]
    cores = len(os.sched_getaffinity(0))
    a_core = images / whole.cpu_seconds
    wall = images / whole.seconds
    alone = min(DISTINCT, images) / decoder.cpu_seconds
    expected, by_clock = PICTURES / (a_core * CORES), PICTURES / (wall * CORES / cores)
    floor = PICTURES / (alone * CORES)
    return Row(
        what=DECODING if name == "pillow" else f"{DECODING}: image.decoder={name}",
        how=f"{images} JPEGs of 600 x 400 out of a shard, decoded and resized to {SIDE} x {SIDE} by threads on {cores} cores, "
        f"into a memory map; median of {repeats}",
        target=next(target.target for target in TARGETS if target.what == DECODING),
        measured=f"{a_core:.0f} pictures a core-second by CPU time; extrapolated to {CORES} cores: {expected:.1f} s",
        floor=f"{floor:.1f} s: Pillow's JPEG decoder alone, {alone:.0f} pictures a core-second",
        note=f"extrapolated from {cores} cores, not measured on {CORES}" if cores != CORES else "",
        figures={
            "pictures_a_core_second": a_core,
            "pictures_a_second": wall,
            "decoder_pictures_a_core_second": alone,
            "extrapolated_seconds": expected,
            "extrapolated_seconds_by_clock": by_clock,
        },
        met=expected <= SECONDS,
    )


if __name__ == "__main__":
    main()
