"""A reproduction's cells for reading: plain tables, CSV, and the figures to log."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from itrp.evaluation.results import Protocol, align_rows
from itrp.reproduction.cells import CellResult
from itrp.reproduction.grids import TABLES, TITLES, Cell

HEADER = (
    "row", "task", "set", "protocol", "ours", "95 % interval", "published", "difference", "s/1000", "GFLOP/1000",
)  # fmt: skip


@dataclass(frozen=True)
class Reproduction:
    """Everything a page or a table shows."""

    preset: str
    seeds: int
    device: str
    data: dict[str, str]
    """What the runs were made from: names and hashes of the data sets, commit, package versions."""
    results: list[CellResult]
    missing: dict[Cell, str]
    """Cells that could not be filled, and why."""
    on_itr: bool
    """Whether the labelled set has ITR's 4,471 pairs, which the published figures are about."""

    @property
    def tables(self) -> list[str]:
        """The tables that have cells, in the paper's order."""
        asked = {result.cell.table for result in self.results} | {cell.table for cell in self.missing}
        return [table for table in TABLES if table in asked]


def format_tables(made: Reproduction) -> str:
    """The tables as text: ours, published, difference, cost; one line a cell and protocol."""
    parts = []
    for table in made.tables:
        lines = [HEADER, *(format_cells(each) for each in made.results if each.cell.table == table)]
        rows = align_rows(lines, words=4)
        rows += [f"{cell.row}, {cell.task}, {cell.set}: not run: {why}" for cell, why in _missing(made, table)]
        parts.append("\n".join([TITLES[table], "", *rows]))
    return "\n\n".join([*parts, explain(made)])


def explain(made: Reproduction) -> str:
    """What the reader has to know about the figures."""
    lines = [
        f"Weighted F1 in per cent, mean ± standard deviation over {made.seeds} seed(s); the interval is a bootstrap over the",
        "test pairs. dev: checkpoint and mapping chosen on the train split (supervised: on its held-out tenth). oracle:",
        "chosen on the test labels, as the published figures are: an upper bound. s/1000: seconds to label 1,000 tweets,",
        f"decoding included, on {made.device}.",
    ]
    if not made.on_itr:
        lines.append(
            "These are not ITR's 4,471 pairs, which the published figures are about: the differences prove nothing."
        )
    if any(result.stand_in for result in made.results):
        lines.append(
            "*: parts of the system have random weights in place of pretrained ones; its figure shows that it runs, no more."
        )
    return "\n".join(lines)


def format_cells(result: CellResult) -> tuple[str, ...]:
    """A line of the table."""
    cell = result.cell
    return (
        cell.row + ("*" if result.stand_in else ""),
        str(cell.task),
        cell.set,
        str(result.protocol),
        format_mean(result),
        f"{100 * result.low:.1f}-{100 * result.high:.1f}",
        "-" if cell.published is None else f"{cell.published:.1f}",
        "-" if result.difference is None else f"{result.difference:+.1f}",
        f"{result.cost.seconds_per_1000:.1f}",
        f"{result.cost.gflop_per_1000:,.0f}",
    )


def format_mean(result: CellResult) -> str:
    """Mean and deviation over the seeds, in per cent."""
    spread = "" if result.deviation is None else f" ± {100 * result.deviation:.1f}"
    return f"{100 * result.mean:.1f}{spread}"


def write_csv(made: Reproduction) -> str:
    """Every result, one row a cell and protocol, shares from 0 to 1."""
    sink = io.StringIO()
    rows = csv.writer(sink, lineterminator="\n")
    rows.writerow(
        ["table", "row", "task", "set", "protocol", "f1_mean", "f1_deviation", "low", "high", "n", "f1_by_seed",
         "published", "difference", "seconds_per_1000", "gflop_per_1000", "device", "stand_in"]
    )  # fmt: skip
    for result in made.results:
        cell, cost = result.cell, result.cost
        rows.writerow(
            [cell.table, cell.row, cell.task, cell.set, result.protocol, result.mean, result.deviation, result.low,
             result.high, result.n, " ".join(map(str, result.f1)), cell.published, result.difference,
             cost.seconds_per_1000, cost.gflop_per_1000, cost.device, result.stand_in]
        )  # fmt: skip
    return sink.getvalue()


def list_figures(made: Reproduction) -> Iterator[tuple[str, float]]:
    """(name, value) of every cell, to be logged."""
    for result in made.results:
        cell = result.cell
        row = "".join(character if character.isalnum() else "_" for character in cell.row).strip("_")
        yield f"{cell.table}/{row}/{cell.task}/{cell.set}/{result.protocol}", result.mean


def pick(results: Sequence[CellResult], cell: Cell, protocol: Protocol) -> CellResult | None:
    """The result of a cell under a protocol, None when it could not be filled."""
    return next((each for each in results if each.cell == cell and each.protocol is protocol), None)


def _missing(made: Reproduction, table: str) -> list[tuple[Cell, str]]:
    return [(cell, why) for cell, why in made.missing.items() if cell.table == table]
