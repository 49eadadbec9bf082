"""Whole training of the text task beside the public reference implementation: processor time, memory and F1.

    python -m tests.benchmarks.training --reference CHECKOUT --data TWITTER100K_LAYOUT --labelled captions_match

CHECKOUT is a checkout of SuYindu/ITRp (Sun et al. 2023), which stays outside this repository. Both sides get the same tweets,
subsets, encoders and settings (`tests.benchmarks.side_by_side` compares what they answer), are evaluated on all labelled pairs
after every round, and have a process each, so that its peak memory is its own. What is counted begins after the imports.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from itrp.clustering.mapping import apply_mapping, best_mapping
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.evaluation.cost import count_operations
from itrp.evaluation.protocols import weighted_f1
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shard
from itrp.models.itrp_model import build_model
from itrp.training.trainer import Trainer
from tests.benchmarks.record import Row, record
from tests.benchmarks.reference_side import run_reference
from tests.benchmarks.side_by_side import Bench, configure
from tests.benchmarks.sides import CPU, Labelled, Switches, peak_memory
from tests.benchmarks.targets import TARGETS, TRAINING_CPU

SUBSET, SIDE = 500, 128
"""small-text's own subsets and pictures: the tweets are some 1,500."""


@dataclass(frozen=True)
class Spent:
    """What one run took."""

    cpu_seconds: float
    seconds: float
    imported_mib: float
    """Peak memory when everything was imported, before any work."""
    peak_mib: float
    f1: float
    """Weighted F1 of the last round on all labelled pairs, clusters named by them."""


@dataclass(frozen=True)
class Floor:
    """The arithmetic of a run."""

    gflop: float
    gflop_a_core_second: float

    @property
    def cpu_seconds(self) -> float:
        """At the measured rate."""
        return self.gflop / self.gflop_a_core_second


def spend(train: Callable[..., float], *arguments: object) -> Spent:
    """Run one side in this process; `train` gives the F1."""
    imported = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    f1 = train(*arguments)
    return Spent(time.process_time() - cpu, time.perf_counter() - wall, imported, peak_memory(), f1)


def train_ours(config: ExperimentConfig, tweets: ShardFile, pairs: ShardFile, labelled: Labelled, work: Path) -> float:
    """Our Trainer, asked for its answers after every round."""
    model = build_model(config)
    cache = EmbeddingCache(work / "cache", CPU, config.embed_batch_size)
    trainer = Trainer(model, [tweets], cache=cache, checkpoints=work / "rounds")
    f1s = []
    for _ in trainer.run():
        answers = predict_shard(model, pairs, cache).argmax(axis=1)
        named = apply_mapping(answers, best_mapping(answers, labelled.labels, config.k))
        f1s.append(weighted_f1(labelled.labels, named))
    return f1s[-1]


def find_floor(config: ExperimentConfig, tweets: ShardFile, pairs: ShardFile, labelled: Labelled, work: Path) -> Floor:
    """What our side's products and convolutions would take at the rate of a large product on one core."""
    operations = count_operations(lambda: train_ours(config, tweets, pairs, labelled, work))
    side, times = 1024, 20
    left, right = torch.randn(side, side), torch.randn(side, side)
    left @ right
    cpu = time.process_time()
    for _ in range(times):
        left @ right
    return Floor(operations / 1e9, 2 * side**3 * times / 1e9 / (time.process_time() - cpu))


def train_reference(
    checkout: Path, config: ExperimentConfig, source: Path, lines: Sequence[int], labelled: Labelled, work: Path
) -> float:
    """Its own functions, its own F1."""
    return run_reference(checkout, config, source, lines, labelled, Switches(), work).f1s[-1]


def rows(bench: Bench, seeds: int) -> list[Row]:
    """The sides in turns, another one first every second time."""
    found: dict[str, list[Spent]] = {"reference": [], "ours": []}
    for seed in range(seeds):
        config = configure("text", seed, SUBSET, bench.tweets.pairs, SIDE)
        lines = bench.lines[: config.pairs]
        sides: dict[str, tuple[object, ...]] = {
            "reference": (train_reference, bench.reference, config, bench.data, lines, bench.labelled),
            "ours": (train_ours, config, bench.tweets, bench.labelled_shard, bench.labelled),
        }
        for name in [*sides][:: -1 if seed % 2 else 1]:
            found[name].append(bench.run_apart(spend, *sides[name]))
            print(f"seed {seed}, {name}: {found[name][-1]}, load {os.getloadavg()[0]:.1f}", flush=True)
    floor = bench.run_apart(find_floor, *sides["ours"][1:])
    return [_tell(found["reference"], found["ours"], floor, bench)]


def _tell(theirs: Sequence[Spent], ours: Sequence[Spent], floor: Floor, bench: Bench) -> Row:
    target = next(target.target for target in TARGETS if target.what == TRAINING_CPU)
    ratio = statistics.median(a.cpu_seconds / b.cpu_seconds for a, b in zip(theirs, ours, strict=True))
    memory = statistics.median(b.peak_mib / a.peak_mib for a, b in zip(theirs, ours, strict=True))
    above = [statistics.median(each.peak_mib - each.imported_mib for each in side) for side in (theirs, ours)]
    f1s = [[each.f1 for each in side] for side in (theirs, ours)]
    noise = max(max(side) - min(side) for side in f1s)
    apart = abs(statistics.mean(f1s[0]) - statistics.mean(f1s[1]))
    cpu = [statistics.median(each.cpu_seconds for each in side) for side in (theirs, ours)]
    peaks = [statistics.median(each.peak_mib for each in side) for side in (theirs, ours)]
    return Row(
        what=TRAINING_CPU,
        how=f"small-text on {bench.tweets.pairs - bench.tweets.pairs % SUBSET} real tweets in subsets of {SUBSET}, evaluated on "
        f"{len(bench.labelled.labels)} pairs every round, {bench.threads} threads of torch, {len(ours)} seeds in turns",
        target=target,
        measured=f"{ratio:.1f}x less CPU time ({cpu[1]:.0f} s), peak memory {memory:.2f}x ({peaks[1]:.0f} MiB), "
        f"F1 {_percent(f1s[1])} %",
        floor=f"{floor.cpu_seconds:.0f} s of CPU, {cpu[0] / floor.cpu_seconds:.1f}x less than the reference: "
        f"{floor.gflop:,.0f} GFLOP in fp32 at {floor.gflop_a_core_second:.0f} GFLOP/s a core",
        peer=f"public reference implementation {cpu[0]:.0f} s, {peaks[0]:.0f} MiB, F1 {_percent(f1s[0])} %",
        note=f"memory above the imported libraries ({peaks[1] - above[1]:.0f} MiB on both sides): {above[1]:.0f} MiB, the "
        f"reference's {above[0]:.0f} MiB; weights, gradients and Adam's moments of MiniLM are 345 MiB on both",
        figures={
            "cpu_seconds": cpu[1],
            "their_cpu_seconds": cpu[0],
            "cpu_ratio": ratio,
            "floor_cpu_seconds": floor.cpu_seconds,
            "peak_mib": peaks[1],
            "their_peak_mib": peaks[0],
            "above_libraries_mib": above[1],
            "their_above_libraries_mib": above[0],
            "f1_apart": apart,
            "f1_seed_noise": noise,
        },
        met=ratio >= 4 and memory <= 1 / 3 and apart <= noise,
    )


def _percent(f1s: Sequence[float]) -> str:
    return " ".join(f"{100 * f1:.1f}" for f1 in f1s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="checkout of SuYindu/ITRp")
    parser.add_argument("--data", type=Path, required=True, help="folder in Twitter100k's layout")
    parser.add_argument("--labelled", type=Path, required=True, help="folder with pairs.csv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of torch, in each run")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.reference, args.data, args.labelled, Path(folder), args.threads)
        record(rows(bench, args.seeds), "training")


if __name__ == "__main__":
    main()
