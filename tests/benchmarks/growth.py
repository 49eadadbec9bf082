"""Does the time per pair stay the same with 1k, 10k and 100k pairs? Ingest and scoring, on one platform in a folder.

    python -m tests.benchmarks.growth                       # minutes, and some gigabytes in the temporary folder
    python -m tests.benchmarks.growth --pairs 1000 10000    # not recorded under the names of the targets
    python -m tests.benchmarks.growth --only ingest

Encoders are tiny (tests.benchmarks.platforms): everything but their arithmetic is measured, so growth is not hidden by it.
Each run has a process and a platform of its own; models are loaded and databases opened before the clock starts. The least of
several runs counts, and processor time decides: who else is on the machine adds to both, and to the clock without measure.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.record import Row, record
from tests.benchmarks.scaled_run import Scaled, run_apart
from tests.benchmarks.targets import GROWTH_INGEST, GROWTH_SCORING

SIZES = (1_000, 10_000, 100_000)
REPEATS = {1_000: 5, 10_000: 3}
"""Runs of a size; two of any other."""
STAGES = {"score": GROWTH_SCORING, "ingest": GROWTH_INGEST}
WITHIN = 1.15


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", choices=[*STAGES], nargs="+", default=[*STAGES])
    args = parser.parse_args(arguments)
    record(rows(args.pairs, args.only), "growth")


def rows(sizes: Sequence[int] = SIZES, stages: Sequence[str] = tuple(STAGES)) -> list[Row]:
    """Both rows of the target, or one."""
    return [
        _judge(stage, {size: [_run(stage, size) for _ in range(REPEATS.get(size, 2))] for size in sizes})
        for stage in stages
    ]


def _run(stage: str, size: int) -> Scaled:
    with tempfile.TemporaryDirectory() as folder:
        return run_apart(stage, Path(folder), size)


def _judge(stage: str, found: Mapping[int, Sequence[Scaled]]) -> Row:
    cpu = {size: min(run.stages[stage].cpu for run in runs) / size for size, runs in found.items()}
    wall = {size: min(run.stages[stage].wall for run in runs) / size for size, runs in found.items()}
    growth = max(cpu.values()) / min(cpu.values())
    by_clock = max(wall.values()) / min(wall.values())
    told = "; ".join(f"{size:,}: {1e3 * cpu[size]:.3f} ms CPU, {1e3 * wall[size]:.3f} ms" for size in found)
    asked, what, note = [*found] == [*SIZES], STAGES[stage], ""
    if stage == "ingest":
        again = min(run.stages["ingest nothing"].wall for run in found[max(found)])
        note = f"an ingest that finds nothing new beside {max(found):,} pairs takes {again:.2f} s: it lists them"
    return Row(
        what=what if asked else f"{what}: sizes {', '.join(f'{size:,}' for size in found)}",
        how=f"processor time of the process per pair, the least of {', '.join(str(len(runs)) for runs in found.values())} runs; "
        "pictures 160x120, encoders of some thousand weights, store and databases in a folder",
        target="linear: time per pair within 15 %",
        measured=f"{told}: within {100 * (growth - 1):.0f} % by CPU time, {100 * (by_clock - 1):.0f} % by the clock",
        note=note,
        figures={f"cpu_{size}": cpu[size] for size in found} | {f"wall_{size}": wall[size] for size in found},
        met=growth <= WITHIN if asked else None,
    )


if __name__ == "__main__":
    main()
