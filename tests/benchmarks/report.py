"""docs/benchmarks/README.md from the newest row of each target and machine: `python -m tests.benchmarks.report`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.quality_table import NOTES, PREFIX, choose_newest_rows, format_quality
from tests.benchmarks.record import FOLDER, Row, Run, format_table, read_runs, tell_verdict
from tests.benchmarks.targets import TARGETS, Target

INTRODUCTION = """# Benchmarks

Made by `python -m tests.benchmarks.report` from the newest measurement of each row on each kind of machine (of memory: on any);
do not edit. `make bench` measures what a machine without a GPU can tell, `make bench-gpu` the rest; each appends what it found
to a file beside this one, with machine, versions and commit. A floor is arithmetic or bytes at the rate that the device was
measured to have in the same run.
"""


@dataclass(frozen=True)
class Found:
    """A row and the run it comes from."""

    row: Row
    run: Run


def main() -> None:
    """Write the page and say which rows are open."""
    page = build_page(read_runs())
    (FOLDER / "README.md").write_text(page, encoding="utf-8")
    print(page)


def build_page(runs: Sequence[Run], targets: Sequence[Target] = TARGETS) -> str:
    """The page's Markdown."""
    found = choose_newest(runs, targets)
    head = ("what", "target", "measured", "met", "floor", "peer", "machine")
    rows = [cells for target in targets for cells in _tell_target(target, _of_target(found, target, targets))]
    found = [each for each in found if not each.row.what.startswith(PREFIX)]
    others = [each for each in found if _find_target(each.row.what, targets) is None]
    parts = [INTRODUCTION, format_table([head, *rows])]
    if others:
        parts += ["## Besides", format_table([head, *(_tell_row(each) for each in others)])]
    quality = format_quality(choose_newest_rows(runs))
    if quality:
        parts += ["## Quality", NOTES, quality]
    parts += ["## How each was measured", "\n".join(_tell_measuring(found, targets)) or "Nothing is measured yet."]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def choose_newest(runs: Sequence[Run], targets: Sequence[Target]) -> list[Found]:
    """The last row of every name on every kind of machine, where that matters. `runs`: oldest first."""

    def key(row: Row, run: Run) -> tuple[str, str]:
        target = _find_target(row.what, targets)
        return row.what, tell_machine(run) if target is None or target.of_machine else ""

    return list({key(row, run): Found(row, run) for run in runs for row in run.rows}.values())


def tell_machine(run: Run) -> str:
    """Its accelerator, else its cores."""
    return str(run.machine.get("accelerator") or f"{run.machine.get('cores')} cores of {_name_processor(run)}")


def _name_processor(run: Run) -> str:
    name = re.sub(r"\((R|TM)\)", "", str(run.machine.get("processor")))
    return " ".join(re.sub(r"\b(Processor|CPU)\b|@.*", "", name).split())


def _find_target(what: str, targets: Sequence[Target]) -> Target | None:
    return next((target for target in targets if what == target.what or what.startswith(f"{target.what}: ")), None)


def _of_target(found: Sequence[Found], target: Target, targets: Sequence[Target]) -> list[Found]:
    """Its rows, the one that bears its name alone first."""
    chosen = [each for each in found if _find_target(each.row.what, targets) == target]
    return sorted(chosen, key=lambda each: (each.row.what != target.what, each.row.what))


def _tell_target(target: Target, found: Sequence[Found]) -> Iterator[tuple[str, ...]]:
    if not found:
        why = "no GPU at hand" if target.needs_gpu else "not measured yet"
        command = "`make bench-gpu`" if target.needs_gpu else f"`python -m tests.benchmarks.{target.command}`"
        yield (target.what, target.target, f"open: {why}; {command}", "", "", "", "")
    for each in found:
        yield _tell_row(each)


def _tell_row(found: Found) -> tuple[str, ...]:
    row = found.row
    return (row.what, row.target, row.measured, tell_verdict(row.met), row.floor, row.peer, tell_machine(found.run))


def _tell_measuring(found: Sequence[Found], targets: Sequence[Target]) -> Iterator[str]:
    places = {target: place for place, target in enumerate(targets)}

    def place(each: Found) -> int:
        target = _find_target(each.row.what, targets)
        return len(places) if target is None else places[target]

    for each in sorted(found, key=place):
        note = f" {each.row.note.rstrip('.')}." if each.row.note else ""
        yield f"- **{each.row.what}**: {each.row.how.rstrip('.')}.{note} *{_tell_run(each.run)}*"


def _tell_run(run: Run) -> str:
    machine = run.machine
    parts = [
        machine.get("accelerator"),
        f"{machine.get('cores')} cores of {_name_processor(run)}",
        f"load {machine['load'][0]}" if "load" in machine else None,
        run.time[:16].replace("T", " "),
        f"commit {run.commit[:12]}{'-dirty' if run.commit.endswith('-dirty') else ''}",
        f"torch {run.versions['torch']}" if "torch" in run.versions else None,
    ]
    return ", ".join(part for part in parts if part)


if __name__ == "__main__":
    main()
