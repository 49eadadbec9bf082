"""How good are the labels? Every labelled set that is there, every system, beside what each costs: one table.

    python -m tests.benchmarks.quality --data FOLDER                      # hours of one core, if nothing is kept yet
    python -m tests.benchmarks.quality --data FOLDER --systems aligned kmeans --sets captions_rated --seeds 1

FOLDER holds captions_rated, captions_match and captions_unlabelled, in the layouts that `itrp ingest rated-captions`,
`captions-match` and `twitter100k` read; synthetic tweets are drawn. What is finished is kept in --work and not measured again,
so that a run that was killed, or another choice of systems, goes on where the last one ended. Nothing of FOLDER is kept
under docs/: figures alone are.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from itrp.labels import Task
from tests.benchmarks.quality_cells import SYSTEMS, CellBook, QualitySystem, run_cell
from tests.benchmarks.quality_sets import SETS, QualitySet
from tests.benchmarks.quality_table import MAJORITY, format_quality, make_row, measure_cells, measure_majority
from tests.benchmarks.record import Row, record


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, print the table of everything that is finished, and record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=[each.name for each in SETS], default=[each.name for each in SETS])
    parser.add_argument(
        "--systems", nargs="+", choices=[each.name for each in SYSTEMS], default=[each.name for each in SYSTEMS]
    )
    parser.add_argument("--tasks", nargs="+", choices=("text", "image"), default=("text", "image"))
    parser.add_argument(
        "--change", nargs="+", default=(), metavar="KEY=VALUE", help="try settings: told line by line, not recorded"
    )
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "itrp-quality", metavar="DIR")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument(
        "--no-cost", action="store_true", help="begin with what other runs have cached, and tell no cost"
    )
    parser.add_argument("--no-record", action="store_true", help="print the table alone")
    args = parser.parse_args(arguments)
    book = CellBook(args.work)
    if args.fresh:
        book.forget()
    sets = [each for each in SETS if each.name in args.sets and _is_there(each, args.data)]
    systems = [each.changed(args.change) for each in SYSTEMS if each.name in args.systems]
    for chosen, task, system, seed in list_cells(sets, systems, [Task(task) for task in args.tasks], args.seeds):
        measure(book, chosen, task, system, seed, args.data, with_cost=not args.no_cost)
    rows = [*summarise(book)]
    table = format_quality(rows)
    if args.no_record or args.change:
        print(table)
    else:
        record(rows, "quality", shown=table)


def _is_there(chosen: QualitySet, data: Path) -> bool:
    there = chosen.is_there(data)
    if not there:
        print(f"{chosen.name} is left out: {data} does not hold it", flush=True)
    return there


def list_cells(
    sets: Sequence[QualitySet], systems: Sequence[QualitySystem], tasks: Sequence[Task], seeds: int
) -> Iterator[tuple[QualitySet, Task, QualitySystem, int]]:
    """All that can be measured, the first seed of everything first: a run that ends early has a whole table."""
    for seed in range(seeds):
        for system in systems:
            for chosen in sets:
                for task in chosen.tasks:
                    if task in tasks and system.experiment(task) is not None:
                        yield chosen, task, system, seed


def measure(
    book: CellBook, chosen: QualitySet, task: Task, system: QualitySystem, seed: int, data: Path, *, with_cost: bool
) -> None:
    """One cell, unless it is finished."""
    if book.read(chosen.name, task, system.name, seed) is not None:
        return
    book.prepare(chosen, data)
    try:
        cell = run_cell(book, chosen, task, system, seed, with_cost=with_cost)
    except subprocess.CalledProcessError as error:  # its own lines are told already; other cells do not depend on it
        print(f"no figure of {system.name}, seed {seed}, {task} task of {chosen.name}: {error}"[:400], flush=True)
        return
    book.write(cell)
    figures = measure_cells(book.test_set(chosen, task), [cell])
    print(f"{make_row(chosen.name, task, system.name, book.pairs(chosen), figures).measured}: {chosen.name}, {task} "
          f"task, {system.name}, seed {seed}", flush=True)  # fmt: skip


def summarise(book: CellBook) -> Iterator[Row]:
    """A row of each set and task for every system with a finished cell, and for the most frequent class."""
    for chosen in SETS:
        for task in chosen.tasks if book.is_prepared(chosen) else ():
            test, pairs = book.test_set(chosen, task), book.pairs(chosen)
            yield make_row(chosen.name, task, MAJORITY, pairs, measure_majority(test))
            for system in SYSTEMS:
                cells = book.read_all(chosen.name, task, system.name)
                if cells:
                    yield make_row(chosen.name, task, system.name, pairs, measure_cells(test, cells))


if __name__ == "__main__":
    main()
