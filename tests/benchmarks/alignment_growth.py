"""Do memory and time of an alignment grow with the number of pairs? 10,000, 100,000 and 1,000,000 made-up pairs.

    python -m tests.benchmarks.alignment_growth                        # 7.4 GB in the temporary folder, many minutes
    python -m tests.benchmarks.alignment_growth --pairs 1000 10000     # not recorded under the names of the targets

Features are float32 and of MiniLM's and EfficientNet-Lite0's width; they lie in files and are read through memory maps, as those
of a data set are. Each fit has a process of its own, and what is counted begins after the imports. Resident memory has two
parts: private, which is the process's own, and pages of mapped files, which the kernel takes back when there is need. It maps up
to 64 KiB around each row that is read, so that these pages grow until a block of rows is spread as thinly as that.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.record import Row, record
from tests.benchmarks.scaled_run import Stage, measured, read_status
from tests.benchmarks.targets import ALIGNMENT_MEMORY, ALIGNMENT_TIME

SIZES = (10_000, 100_000, 1_000_000)
TEXT_WIDTH, IMAGE_WIDTH, TOPICS = 384, 1280, 32
SHARE = 0.8
"""Of the pairs match."""
BLOCK = 10_000
"""Pairs written at a time."""
A_PAIR = 100
"""Bytes a pair that are called no growth: keys, folds, scores and weights are arrays of numbers, some 40 bytes a pair by design,
and twice that while one array is made of another."""
NOISE = 64 * 2**20
"""Bytes that two runs of one size may differ by."""
WITHIN = 1.15


@dataclass(frozen=True)
class Fitted:
    """What one fit took."""

    pairs: int
    cpu_seconds: float
    seconds: float
    imported_mib: float
    """Resident memory when everything was imported."""
    peak_mib: float
    """Pages of mapped files included."""
    private_mib: float
    """Without these, at the peak of a sample twenty times a second."""
    area: float
    """Of true against shuffled held-out pairs."""


def write_features(folder: Path, pairs: int) -> None:
    """texts.npy [n, 384] and images.npy [n, 1280], never negative; most pairs share hidden topics."""
    world = np.random.default_rng(1000)
    into_texts, into_images = world.normal(size=(TOPICS, TEXT_WIDTH)), world.normal(size=(TOPICS, IMAGE_WIDTH))
    shapes = {"texts": (pairs, TEXT_WIDTH), "images": (pairs, IMAGE_WIDTH)}
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
        for name, shape in shapes.items()
    }
    rng = np.random.default_rng(0)
    for start in range(0, pairs, BLOCK):
        count = min(BLOCK, pairs - start)
        of_text = rng.normal(size=(count, TOPICS))
        match = rng.random(count) < SHARE
        of_image = np.where(match[:, None], of_text, rng.normal(size=(count, TOPICS)))
        rows = slice(start, start + count)
        files["texts"][rows] = of_text @ into_texts + 8 * rng.standard_normal((count, TEXT_WIDTH), dtype=np.float32)
        noise = 8 * rng.standard_normal((count, IMAGE_WIDTH), dtype=np.float32)
        files["images"][rows] = np.maximum(of_image @ into_images + noise, 0)


def fit(folder: Path) -> Fitted:
    """Fit an alignment on what lies in a folder, in this process."""
    import sklearn.isotonic
    import sklearn.mixture  # noqa: F401  # imported before the clock starts
    import torch

    from itrp.alignment.config import AlignmentConfig
    from itrp.alignment.fit import PairFeatures, fit_alignment
    from itrp.data.inputs import Rows

    texts, images = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("texts", "images"))
    keys = np.arange(len(texts), dtype=np.int64)
    features = PairFeatures(Rows([texts]).take, Rows([images]).take, keys, keys)
    imported, stages = read_status("VmRSS"), dict[str, Stage]()
    with measured(stages, "fit"):
        fitted = fit_alignment(features, AlignmentConfig(), seed=0, device=torch.device("cpu"))
    stage = stages["fit"]
    return Fitted(len(texts), stage.cpu, stage.wall, imported, stage.peak_rss, stage.peak_private, fitted.area)


def fit_apart(pairs: int) -> Fitted:
    """Features in a new temporary folder, a fit in a new process."""
    # threads that wait for each other on a busy machine spend its time: on two cores ten times as much for 10,000 pairs
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with tempfile.TemporaryDirectory() as folder:
        for step in ("write", "fit"):
            command = [sys.executable, "-m", "tests.benchmarks.alignment_growth", "--step", step, folder, str(pairs)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found = Fitted(**json.loads(done.stdout.splitlines()[-1]))
    print(found, flush=True)
    return found


def judge(found: Mapping[int, Fitted]) -> list[Row]:
    """A row of memory and one of time."""
    few, many = sorted(found)[-2:]  # with some ten thousand pairs no block of features is full yet
    growth = (found[many].private_mib - found[few].private_mib) * 2**20
    flat = growth <= NOISE + A_PAIR * (many - few)
    asked = [*found] == [*SIZES]
    variant = "" if asked else f": {' and '.join(f'{size:,}' for size in found)} pairs"
    memory = "; ".join(
        f"{size:,}: {each.peak_mib:,.0f} MiB, of which private {each.private_mib:,.0f}" for size, each in found.items()
    )
    cpu = {size: each.cpu_seconds / size for size, each in found.items()}
    told = "; ".join(f"{size:,}: {each.cpu_seconds:.1f} s" for size, each in found.items())
    how = f"features of {TEXT_WIDTH} and {IMAGE_WIDTH} float32 in memory-mapped files, {SHARE:.0%} of the pairs match"
    return [
        Row(
            what=ALIGNMENT_MEMORY + variant,
            how=f"peak resident memory of a process while it fits an alignment; {how}",
            target=f"flat: at most {A_PAIR} private bytes a pair",
            measured=f"{memory}: {growth / (many - few):+,.0f} bytes a pair private from {few:,} to {many:,}",
            note=f"{found[many].imported_mib:,.0f} MiB resident once the libraries are imported",
            figures={f"peak_mib_{size}": each.peak_mib for size, each in found.items()}
            | {f"private_mib_{size}": each.private_mib for size, each in found.items()}
            | {"private_bytes_a_pair": growth / (many - few)},
            met=flat if asked else None,
        ),
        Row(
            what=ALIGNMENT_TIME + variant,
            how=f"processor time of the process; {how}",
            target="no more a pair with more pairs",
            measured=f"{told} of CPU; {', '.join(f'{1e6 * each:,.0f}' for each in cpu.values())} microseconds a pair",
            note=f"area of true against shuffled pairs {', '.join(f'{each.area:.3f}' for each in found.values())}",
            figures={f"cpu_seconds_{size}": each.cpu_seconds for size, each in found.items()},
            met=cpu[many] <= WITHIN * cpu[few] if asked else None,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record; or, in a child, one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--step", nargs=3, metavar=("STEP", "FOLDER", "PAIRS"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.step is None and len({*args.pairs}) < 2:
        parser.error("expected at least two numbers of pairs to compare")
    if args.step is None:
        record(judge({size: fit_apart(size) for size in sorted({*args.pairs})}), "alignment_growth")
    elif args.step[0] == "write":
        write_features(Path(args.step[1]), int(args.step[2]))
    else:
        print(json.dumps(asdict(fit(Path(args.step[1])))))


if __name__ == "__main__":
    main()
