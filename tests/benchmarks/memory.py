"""Does peak memory grow with the number of pairs? Scoring, and one epoch of training, on n pairs and on several times n.

    python -m tests.benchmarks.memory                        # 30,000 and 100,000 pairs, many minutes
    python -m tests.benchmarks.memory --pairs 1000 10000     # not recorded under the names of the targets

The smaller number is not too small: the allocator's arenas fill up during the first ten thousand pairs, and a line drawn
through that part and a later one rises for ever.

Each run has a process of its own. Encoders are tiny (tests.benchmarks.platforms), so that what a pair leaves behind is not
lost in what a model takes. Resident memory has two parts: private, which is the process's own, and pages of mapped files (the
caches of pixels and vectors), which the kernel takes back when there is need, and which are told apart.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.record import Row, record
from tests.benchmarks.scaled_run import Stage, run_apart
from tests.benchmarks.targets import MEMORY_SCORING, MEMORY_TRAINING

SIZES = (30_000, 100_000)
LIMIT = 3 * 1024
"""MiB."""
TARGET = "<= 3 GiB + model, does not grow with the number of pairs"
PLANNED = {"score": 1_000_000, "train-text": 100_000, "train-image": 100_000}
"""Pairs that the target is about."""
NOISE = 64
"""MiB that two runs of one size may differ by: the allocator's arenas, threads, what was imported when."""
FLAT = 1_024
"""Bytes a pair that are called no growth: 1 GiB at a million pairs, well inside the limit."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs=2, default=SIZES)
    parser.add_argument("--only", choices=[*PLANNED], nargs="+", default=[*PLANNED])
    args = parser.parse_args(arguments)
    for what in args.only:
        record(rows(args.pairs, [what]), "memory")


def rows(sizes: Sequence[int] = SIZES, what: Sequence[str] = tuple(PLANNED)) -> list[Row]:
    """A row a kind of work."""
    return [_judge(each, {size: _run(each, size) for size in sizes}) for each in what]


def _run(what: str, size: int) -> Stage:
    with tempfile.TemporaryDirectory() as folder:
        return run_apart(what, Path(folder), size).stages["score" if what == "score" else "train"]


def _judge(what: str, found: Mapping[int, Stage]) -> Row:
    few, many = sorted(found)
    private = (found[many].peak_private - found[few].peak_private) * 2**20 / (many - few)
    resident = (found[many].peak_rss - found[few].peak_rss) * 2**20 / (many - few)
    planned = PLANNED[what]
    expected = found[many].peak_rss + max(resident, 0) * max(planned - many, 0) / 2**20
    flat = found[many].peak_rss - found[few].peak_rss <= NOISE or resident <= FLAT
    told = "; ".join(
        f"{size:,}: {stage.peak_rss:,.0f} MiB, of which private {stage.peak_private:,.0f}"
        for size, stage in found.items()
    )
    extrapolated = f"; extrapolated to {planned:,}: {expected:,.0f} MiB" if planned > many else ""
    return Row(
        what=_name(what, found),
        how=f"peak resident memory of a process while it {_TOLD[what]}, {few:,} and {many:,} pairs; tiny encoders",
        target=TARGET,
        measured=f"{told}: {private:+,.0f} bytes a pair private, {resident:+,.0f} with mapped files{extrapolated}",
        note=_NOTES[what],
        figures={f"peak_rss_mib_{size}": stage.peak_rss for size, stage in found.items()}
        | {f"peak_private_mib_{size}": stage.peak_private for size, stage in found.items()}
        | {"private_bytes_a_pair": private, "resident_bytes_a_pair": resident},
        met=flat and expected <= LIMIT,
    )


_TOLD = {
    "score": "labels shards of a landing zone",
    "train-text": "trains the text task for one epoch in subsets of 5,000",
    "train-image": "trains the image task for one epoch in subsets of 5,000, pictures of 64 x 64",
}
_NOTES = {
    "score": "",
    "train-text": "the mapped cache of vectors, 4,096 bytes a pair here, 8,192 with ResNet-101, is given back batch by batch",
    "train-image": "the mapped cache of pixels, 12,288 bytes a pair here, 150,528 at 224 x 224, is given back batch by batch",
}


def _name(what: str, found: Mapping[int, Stage]) -> str:
    variant = [] if what == "score" else [f"{what.removeprefix('train-')} task"]
    if sorted(found) != [*SIZES]:
        variant.append(f"{' and '.join(f'{size:,}' for size in sorted(found))} pairs")
    target = MEMORY_SCORING if what == "score" else MEMORY_TRAINING
    return ": ".join([target, ", ".join(variant)]) if variant else target


if __name__ == "__main__":
    main()
