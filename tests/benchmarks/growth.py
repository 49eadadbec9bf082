"""Does the time per pair stay the same with 1k, 10k and 100k pairs? Ingest and scoring, on one platform in a folder.

    python -m tests.benchmarks.growth                       # minutes, and some gigabytes in the temporary folder
    python -m tests.benchmarks.growth --pairs 1000 10000    # not recorded under the names of the targets

Encoders are tiny (tests.benchmarks.platforms): everything but their arithmetic is measured, so growth is not hidden by it.
Each size has a process and a platform of its own; models are loaded and databases opened before the clock starts.
"""

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.record import Row, record
from tests.benchmarks.scaled_run import Scaled, run_apart
from tests.benchmarks.targets import GROWTH_INGEST, GROWTH_SCORING

SIZES = (1_000, 10_000, 100_000)
REPEATS = {1_000: 5, 10_000: 3}
"""Runs of a size, one otherwise: the small ones are short, and the machine is not alone."""
WITHIN = 1.15


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES)
    args = parser.parse_args(arguments)
    record(rows(args.pairs), "growth")


def rows(sizes: Sequence[int] = SIZES) -> list[Row]:
    """Both rows of the target."""
    found = {size: [_run(size) for _ in range(REPEATS.get(size, 1))] for size in sizes}
    return [_judge(GROWTH_SCORING, "score", found), _judge(GROWTH_INGEST, "ingest", found)]


def _run(size: int) -> Scaled:
    with tempfile.TemporaryDirectory() as folder:
        return run_apart("score", Path(folder), size)


def _judge(what: str, stage: str, found: Mapping[int, Sequence[Scaled]]) -> Row:
    """Processor time decides: on a shared machine the clock tells as much about the others."""
    cpu = {size: statistics.median(run.stages[stage].cpu for run in runs) / size for size, runs in found.items()}
    wall = {size: statistics.median(run.stages[stage].wall for run in runs) / size for size, runs in found.items()}
    growth = max(cpu.values()) / min(cpu.values())
    by_clock = max(wall.values()) / min(wall.values())
    told = "; ".join(f"{size:,}: {1e3 * cpu[size]:.3f} ms CPU, {1e3 * wall[size]:.3f} ms" for size in found)
    nothing = max(found)
    again = statistics.median(run.stages["ingest nothing"].wall for run in found[nothing])
    asked = list(found) == list(SIZES)
    return Row(
        what=what if asked else f"{what}: sizes {', '.join(f'{size:,}' for size in found)}",
        how=f"processor time of the process per pair, median of {', '.join(str(len(runs)) for runs in found.values())} runs; "
        "pictures 160x120, encoders of some thousand weights, store and databases in a folder",
        target="linear: time per pair within 15 %",
        measured=f"{told}: within {100 * (growth - 1):.0f} % by CPU time, {100 * (by_clock - 1):.0f} % by the clock",
        note=f"an ingest that finds nothing new beside {nothing:,} pairs takes {again:.2f} s: it lists them"
        if stage == "ingest"
        else "",
        figures={f"cpu_{size}": cpu[size] for size in found} | {f"wall_{size}": wall[size] for size in found},
        met=growth <= WITHIN if asked else None,
    )


if __name__ == "__main__":
    main()
