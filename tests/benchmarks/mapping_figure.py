"""The picture of `mapping_labels`: how often the mapping is right, and weighted F1, by the number of labels."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARKS = {"similarity": "*", "weak similarity": "D"}


def plot_labels(table: pd.DataFrame) -> Figure:
    """One colour a system: agreement with all dev labels left, F1 with the range of 90 % of the draws right."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    most = int(table.labels.max())
    places = {count: place for place, count in enumerate(sorted({*table.labels} - {0}))}
    for number, (system, rows) in enumerate(table.groupby("system", sort=False)):
        means = rows.groupby(["naming", "labels"])[["agrees", "f1", "f1_low", "f1_high"]].mean() * 100
        colour = f"C{number}"
        line = means.loc["labels"]
        at = [places[count] for count in line.index]
        left.plot(at, line.agrees, "o-", color=colour, label=str(system))
        right.plot(at, line.f1, "o-", color=colour)
        right.fill_between(at, line.f1_low, line.f1_high, color=colour, alpha=0.15, linewidth=0)
        right.plot(at, means.loc["labels, last checkpoint"].f1, ":", color=colour)
        for step, (naming, mark) in enumerate(MARKS.items(), start=1):
            values = means.loc[naming].iloc[0]
            beside = len(places) - 1 + step + 0.12 * (number - 1.5)  # equal values must not hide each other
            left.plot(beside, values.agrees, mark, color=colour)
            right.plot(beside, values.f1, mark, color=colour)
    ticks = [*(str(count) for count in places), "joint", "joint,\nweak"]
    ticks[places[most]] = f"all {most}"
    _finish(left, ticks, "share of draws with the mapping of all dev labels, %")
    _finish(right, ticks, "weighted F1 on the test half, %")
    figure.legend(loc="outside upper center", ncols=4)
    right.set_title("band: 90 % of the draws; dotted: the labels map the last checkpoint", fontsize=9)
    left.set_title("star: similarity of the stand-in; diamond: half its strength", fontsize=9)
    return figure


def _finish(axes: Axes, ticks: list[str], title: str) -> None:
    axes.set(xlabel="labelled dev pairs used", ylabel=title)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.grid(alpha=0.3)
