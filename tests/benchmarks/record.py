"""What a benchmark leaves behind: rows of one table, printed, and kept as one JSON object a run under docs/benchmarks/."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flows.tracking.provenance import describe_environment, find_commit  # stands on the standard library alone

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
PEERS = ("ray", "daft", "openvino", "nvidia-cublas", "nvidia-cudnn-cu13")
"""Packages beside those that decide a run's outcome."""


@dataclass(frozen=True)
class Row:
    """One measurement. `what` is a name of `tests.benchmarks.targets`, alone or followed by ": " and a variant."""

    what: str
    how: str
    target: str
    measured: str
    floor: str = ""
    """Arithmetic or bytes at the rate that the device was measured to have in the same run."""
    peer: str = ""
    """The same work by the other implementation named here."""
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    """The numbers behind the sentences; seconds, bytes, shares."""
    met: bool | None = None
    """Is the target met? None where the row is no judgement."""


@dataclass(frozen=True)
class Run:
    """One call of a benchmark: its rows, and where and on what they were measured."""

    name: str
    time: str
    machine: dict[str, Any]
    versions: dict[str, str]
    commit: str
    rows: list[Row]


def record(rows: Sequence[Row], name: str, folder: Path = FOLDER, *, shown: str | None = None) -> Run:
    """Print the rows (or what is shown instead) and append them to `<folder>/<name>.jsonl`."""
    run = Run(name, datetime.now(UTC).isoformat(timespec="seconds"), describe_machine(), describe_versions(),
              _find_commit(), list(rows))  # fmt: skip
    print(format_rows(rows) if shown is None else shown, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(run)) + "\n")
    return run


def read_runs(folder: Path = FOLDER) -> list[Run]:
    """Every run that is kept, oldest first."""
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    trees = sorted((json.loads(line) for line in lines), key=lambda tree: tree["time"])
    return [Run(**{**tree, "rows": [Row(**row) for row in tree["rows"]]}) for tree in trees]


def format_rows(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table."""
    head = ("what", "target", "measured", "met", "floor", "peer", "note")
    body = [(row.what, row.target, row.measured, tell_verdict(row.met), row.floor, row.peer, row.note) for row in rows]
    return format_table([head, *body])


def format_table(cells: Sequence[Sequence[str]]) -> str:
    """Markdown of rows of cells, the first of which is the head."""
    lines = ["| " + " | ".join(map(_escape, row)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def tell_verdict(met: bool | None) -> str:
    """yes, no, or nothing."""
    return "" if met is None else ("yes" if met else "**no**")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, accelerator, threads, and how busy the machine was; nothing that names it."""
    machine: dict[str, Any] = {
        "processor": _read_processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": [round(value, 1) for value in os.getloadavg()],
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
    torch = sys.modules.get("torch")  # not imported for this: some benchmarks prove that it is not needed
    if torch is not None and torch.cuda.is_available():
        machine["accelerator"] = torch.cuda.get_device_name()
    return machine


def describe_versions() -> dict[str, str]:
    """Versions of Python, of what decides an outcome, and of the peers that are installed."""
    return describe_environment() | dict(_installed(PEERS))


def _installed(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _find_commit() -> str:
    try:
        return find_commit()
    except PackageNotFoundError:  # a copy of the files, neither a checkout nor installed
        return "unknown"


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _escape(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())
