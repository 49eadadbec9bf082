"""How long commands take before any work: `itrp --help`, `itrp doctor`, and `itrp score` with nothing to do.

    python -m tests.benchmarks.start_up

The last is compared with a process that imports MLflow and asks the same registry for its models, and with the same command
through its flow, on a Prefect server of its own (as it went before there were jobs), in turns.
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
from tests.benchmarks.targets import START_DOCTOR, START_HELP, START_SCORE
from tests.benchmarks.timing import Timing

ITRP = str(Path(sys.executable).with_name("itrp"))
BARE = """
import sys, mlflow
mlflow.MlflowClient(sys.argv[1], sys.argv[1]).search_registered_models(max_results=1)
"""
"""The least that a scoring run needs: MLflow, and a registry that answers."""
FLOW = """
from flows.score import score_tweets
assert not score_tweets().pairs
"""
"""The same through Prefect, with a server that is started for it."""
PAIRS = 1_000
"""Tweets that are ingested and labelled already."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    record(rows(parser.parse_args(arguments).repeats), "start_up")


def rows(repeats: int = 5) -> list[Row]:
    """All rows of the target."""
    with tempfile.TemporaryDirectory() as folder, _environment(Path(folder)):
        work = Path(folder)
        subprocess.run([sys.executable, "-m", "tests.benchmarks.start_up_platform", str(work), str(PAIRS)], check=True)
        return [measure_help(repeats), measure_score(work, repeats), measure_doctor(repeats)]


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
    """`itrp score` on a platform with two champions where every tweet is labelled, beside the bare cost and its flow."""
    score, bare = [ITRP, "score", "--json"], [sys.executable, "-c", BARE, f"sqlite:///{work}/mlflow.db"]
    flow = [sys.executable, "-c", FLOW]
    report = json.loads(run_process(score))
    if report["pairs"]:
        raise AssertionError(f"expected nothing left to label, found {report['pairs']} tweets labelled")
    run_process(flow)  # the first use of Prefect's database
    heavy = sorted({"torch", "prefect"} & find_imports(score))
    timings = time_processes({"score": score, "bare": bare, "flow": flow}, repeats)
    ours, theirs, before = timings["score"], timings["bare"], timings["flow"]
    wall, cpu = ours.seconds / theirs.seconds, ours.cpu_seconds / theirs.cpu_seconds
    return Row(
        what=START_SCORE,
        how=f"{PAIRS} tweets in landing/, all ingested and labelled; embedded MLflow, no Prefect server; a new process "
        f"each time, median of {repeats} in turns with the bare one and the flow; imports by -X importtime",
        target="<= 1.3x the bare cost of importing mlflow and opening the registry; neither torch nor prefect imported",
        measured=f"{tell(ours)}: {wall:.2f}x by the clock, {cpu:.2f}x by CPU time; through the flow {tell(before)}; "
        f"imported: {', '.join(heavy) or 'neither torch nor prefect'}",
        floor=tell(theirs),
        figures={
            "seconds": ours.seconds,
            "cpu_seconds": ours.cpu_seconds,
            "bare_seconds": theirs.seconds,
            "bare_cpu_seconds": theirs.cpu_seconds,
            "flow_seconds": before.seconds,
            "flow_cpu_seconds": before.cpu_seconds,
            "heavy_imports": float(len(heavy)),
        },
        met=wall <= 1.3 and not heavy,
    )


def measure_doctor(repeats: int) -> Row:
    """`itrp doctor` on the same platform, beside an interpreter that imports MLflow alone."""
    doctor, bare = [ITRP, "doctor"], [sys.executable, "-c", "import mlflow"]
    heavy = sorted({"torch", "prefect", "mlflow"} & find_imports(doctor))
    timings = time_processes({"doctor": doctor, "bare": bare}, repeats)
    ours, theirs = timings["doctor"], timings["bare"]
    return Row(
        what=START_DOCTOR,
        how=f"embedded, all parts in order; a new process each time, median of {repeats} in turns; imports by -X importtime",
        target="<= 2 s; mlflow, prefect and torch not imported",
        measured=f"{tell(ours)}; imported: {', '.join(heavy) or 'none of them'}",
        floor=f"{tell(theirs)}: import mlflow alone",
        figures={
            "seconds": ours.seconds,
            "cpu_seconds": ours.cpu_seconds,
            "mlflow_seconds": theirs.seconds,
            "heavy_imports": float(len(heavy)),
        },
        met=ours.seconds <= 2 and not heavy,
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
