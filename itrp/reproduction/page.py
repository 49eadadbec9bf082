"""A reproduction as one HTML page that needs no other file."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from itrp.evaluation.cost import add_costs
from itrp.evaluation.results import Protocol
from itrp.labels import Task
from itrp.reproduction.cells import CellResult
from itrp.reproduction.figure import draw_figure4
from itrp.reproduction.grids import TITLES, Cell
from itrp.reproduction.tables import Reproduction, explain, format_mean, pick

TEMPLATE = "page.html.jinja"


def render_page(made: Reproduction) -> str:
    """The page: every cell with its protocol, published figure and cost; Figure 4 as an image under both protocols."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        made=made,
        explanation=explain(made),
        tables=[_describe_table(made, table) for table in made.tables],
        missing={cell.row: why for cell, why in made.missing.items()},
    )


def encode_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=110)
    return sink.getvalue()


def _describe_table(made: Reproduction, table: str) -> dict[str, Any]:
    cells = [each.cell for each in made.results if each.cell.table == table]
    cells = list(dict.fromkeys([*cells, *(cell for cell in made.missing if cell.table == table)]))
    rows = list(dict.fromkeys((cell.row, cell.set) for cell in cells))
    tasks = [task for task in Task if any(cell.task is task for cell in cells)]
    figures = []
    if table == "figure4" and any(each.cell.table == table for each in made.results):
        for protocol in (Protocol.DEV, Protocol.ORACLE):
            png = base64.b64encode(encode_png(draw_figure4(made, protocol))).decode()
            figures.append({"title": f"Figure 4, protocol {protocol}", "png": png})
    return {
        "title": TITLES[table] + ("" if table == "figure4" else f", test {cells[0].set}"),
        "tasks": [str(task) for task in tasks],
        "has_sets": len({cell.set for cell in cells}) > 1,
        "rows": [_describe_row(made, [c for c in cells if (c.row, c.set) == row], tasks) for row in rows],
        "figures": figures,
    }


def _describe_row(made: Reproduction, cells: Sequence[Cell], tasks: Sequence[Task]) -> dict[str, Any]:
    by_task = {cell.task: cell for cell in cells}
    results = {task: pick(made.results, cell, Protocol.DEV) for task, cell in by_task.items()}
    known = [result for result in results.values() if result is not None]
    cost = _whole_cost(results)
    return {
        "name": cells[0].row + ("*" if any(result.stand_in for result in known) else ""),
        "set": cells[0].set,
        "entries": [_describe_entry(made, by_task[task]) for task in tasks],
        "seconds": f"{cost.seconds_per_1000:.1f}" if cost else "–",
        "gflop": f"{cost.gflop_per_1000:,.0f}" if cost else "–",
    }


def _whole_cost(results: dict[Task, CellResult | None]) -> Any:
    """Of all models of a row: the image-text cell's where there is one, else the two tasks' together."""
    together = results.get(Task.IMAGE_TEXT)
    if together is not None:
        return together.cost
    costs = [result.cost for result in results.values() if result is not None]
    return add_costs(costs) if costs else None


def _describe_entry(made: Reproduction, cell: Cell) -> dict[str, Any]:
    dev, oracle = (pick(made.results, cell, protocol) for protocol in (Protocol.DEV, Protocol.ORACLE))
    return {
        "dev": _describe_result(dev) if dev else None,
        "oracle": _describe_result(oracle) if oracle else None,
        "published": f"{cell.published:.1f}" if cell.published is not None else "",
        "difference": f"{oracle.difference:+.1f}" if oracle and oracle.difference is not None else "",
        "missing": made.missing.get(cell, ""),
    }


def _describe_result(result: CellResult) -> dict[str, Any]:
    mean, _, spread = format_mean(result).partition(" ± ")
    return {
        "mean": mean,
        "spread": spread,
        "interval": f"{100 * result.low:.1f} to {100 * result.high:.1f}",
        "n": result.n,
    }
