"""Figure 4: weighted F1 of every system on the three test sets, one panel a task."""

import numpy as np
from matplotlib.figure import Figure

from itrp.evaluation.results import Protocol
from itrp.labels import Task
from itrp.reproduction.cells import CellResult
from itrp.reproduction.grids import SETS
from itrp.reproduction.tables import Reproduction

COLOURS = {"raw": "#9ecae1", "RM": "#4292c6", "RL": "#08519c"}


def draw_figure4(made: Reproduction, protocol: Protocol) -> Figure:
    """Bars with their bootstrap 95 % intervals; a diamond where a figure was published."""
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    results = [each for each in made.results if each.cell.table == "figure4" and each.protocol is protocol]
    rows = list(dict.fromkeys(each.cell.row for each in results))
    for axes, task in zip(figure.subplots(1, 3, sharey=True), (Task.TEXT, Task.IMAGE, Task.IMAGE_TEXT), strict=True):
        for place, set_name in enumerate(SETS):
            chosen = {each.cell.row: each for each in results if (each.cell.task, each.cell.set) == (task, set_name)}
            _draw_bars(axes, rows, chosen, set_name, place)
        axes.set(title=f"{task} task", xlim=(0, 100), xlabel="weighted F1 (%)")
        stars = {each.cell.row for each in results if each.stand_in}
        axes.set_yticks(range(len(rows)), [row + ("*" if row in stars else "") for row in rows])
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=4)
    figure.suptitle(f"Protocol {protocol}, {made.seeds} seed(s), preset {made.preset}")
    return figure


def _draw_bars(axes: object, rows: list[str], chosen: dict[str, CellResult], set_name: str, place: int) -> None:
    for position, row in enumerate(rows):
        result = chosen.get(row)
        if result is None:
            continue
        height = position + (place - 1) * 0.27
        mean = 100 * result.mean
        error = np.array([[mean - 100 * result.low], [100 * result.high - mean]]).clip(min=0)
        axes.barh(height, mean, 0.26, color=COLOURS[set_name], xerr=error, label=f"test {set_name}",  # type: ignore[attr-defined]
                  error_kw={"elinewidth": 0.8, "ecolor": "#444444"})  # fmt: skip
        if result.cell.published is not None:
            axes.plot(result.cell.published, height, "D", color="tab:orange", markersize=4, label="published (oracle)")  # type: ignore[attr-defined]
