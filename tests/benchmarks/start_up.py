"""How long commands take before any work: `itrp --help`, and `itrp score` with nothing to do.

    python -m tests.benchmarks.start_up

The second is compared with a process that imports Prefect and MLflow and starts Prefect's in-process server, in the same
environment and on the same database, in turns.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.runtime.orchestration import prepare_environment
from infra.settings import Settings
from tests.benchmarks.record import Row, record
from tests.benchmarks.targets import START_HELP, START_SCORE
from tests.benchmarks.timing import Timing

ITRP = str(Path(sys.executable).with_name("itrp"))
BARE = """
import prefect, mlflow
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    client.hello()
"""
"""The least that a flow at the command line needs: both libraries, and a server that answers."""
PAIRS = 1_000
"""Tweets that are ingested and labelled already."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    record(rows(parser.parse_args(arguments).repeats), "start_up")


def rows(repeats: int = 5) -> list[Row]:
    """Both rows of the target."""
    with tempfile.TemporaryDirectory() as folder, _environment(Path(folder)):
        return [measure_help(repeats), measure_score(Path(folder), repeats)]


def measure_help(repeats: int) -> Row:
    """`itrp --help` beside an interpreter that does nothing."""
    timings = time_processes({"help": [ITRP, "--help"], "bare": [sys.executable, "-c", ""]}, 3 * repeats)
    ours, bare = timings["help"], timings["bare"]
    return Row(
        what=START_HELP,
        how=f"a new process each time, median of {3 * repeats}",
        target="<= 0.5 s",
        measured=tell(ours),
        floor=f"{tell(bare)}: python -c ''",
        figures={"seconds": ours.seconds, "cpu_seconds": ours.cpu_seconds, "bare_seconds": bare.seconds},
        met=ours.seconds <= 0.5,
    )


def measure_score(work: Path, repeats: int) -> Row:
    """`itrp score` on a platform with two champions where every tweet is labelled, beside the bare cost."""
    subprocess.run([sys.executable, "-m", "tests.benchmarks.start_up_platform", str(work), str(PAIRS)], check=True)
    score, bare = [ITRP, "score", "--json"], [sys.executable, "-c", BARE]
    report = json.loads(run_process(score))  # also the first use of Prefect's database
    if report["pairs"]:
        raise AssertionError(f"expected nothing left to label, found {report['pairs']} tweets labelled")
    torch = "torch" in find_imports(score)
    timings = time_processes({"score": score, "bare": bare}, repeats)
    ours, theirs = timings["score"], timings["bare"]
    wall, cpu = ours.seconds / theirs.seconds, ours.cpu_seconds / theirs.cpu_seconds
    return Row(
        what=START_SCORE,
        how=f"{PAIRS} tweets in landing/, all ingested and labelled; embedded Prefect and MLflow; a new process each time, "
        f"median of {repeats} in turns with the bare one; imports by -X importtime",
        target="<= 1.2x the bare cost of importing prefect and mlflow and starting Prefect's server; torch not imported",
        measured=f"{tell(ours)}: {wall:.2f}x by the clock, {cpu:.2f}x by CPU time; torch {'' if torch else 'not '}imported",
        floor=tell(theirs),
        figures={
            "seconds": ours.seconds,
            "cpu_seconds": ours.cpu_seconds,
            "bare_seconds": theirs.seconds,
            "bare_cpu_seconds": theirs.cpu_seconds,
            "torch_imported": float(torch),
        },
        met=wall <= 1.2 and not torch,
    )


def find_imports(command: Sequence[str]) -> set[str]:
    """Top-level packages that a Python program imports, by -X importtime."""
    done = subprocess.run([sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in re.findall(r"^import time:.*\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}


def time_processes(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, Timing]:
    """Each command so many times, in turns; processor time with that of the processes it waited for."""
    timings = {name: Timing() for name in commands}
    for turn in range(repeats):
        for name in [*commands][:: -1 if turn % 2 else 1]:
            wall, cpu = _time_process(lambda name=name: run_process(commands[name]))  # type: ignore[misc]
            timings[name].wall.append(wall)
            timings[name].cpu.append(cpu)
    return timings


def run_process(command: Sequence[str]) -> str:
    """What it prints. Raises CalledProcessError after showing what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    done.check_returncode()
    return done.stdout


def tell(timing: Timing) -> str:
    """Both clocks."""
    return f"{timing.seconds:.2f} s (CPU {timing.cpu_seconds:.2f} s)"


def _time_process(act: Callable[[], object]) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    act()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def _environment(work: Path) -> Iterator[None]:
    """Settings of a work folder and nobody's own for the processes started here."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("ITRP_", "PREFECT_", "MLFLOW_"))]:
        del os.environ[name]
    os.environ |= {"ITRP_WORK_DIR": str(work), "ITRP_DEVICE": "cpu", "PREFECT_HOME": str(work / "prefect")}
    prepare_environment(Settings(work_dir=work))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main()
