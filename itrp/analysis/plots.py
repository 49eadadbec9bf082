"""Images of the analyses: agreement, label quality, label errors."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from itrp.analysis.annotators import Agreement
from itrp.analysis.clip_check import LabelQuality
from itrp.analysis.label_errors import ErrorCandidates
from itrp.evaluation.annotator_agreement import GRADES
from itrp.labels import CLASS_NAMES, Task

BLUE, RED, GREY = "#1d5fbf", "#c3302b", "#8c8c8c"


def plot_agreement(agreements: Sequence[Agreement]) -> Figure:
    """Alpha and its interval by task, beside Krippendorff's thresholds."""
    figure = Figure(figsize=(8, 1.6 + 0.55 * len(agreements)), layout="constrained")
    axes = figure.subplots()
    for place, each in enumerate(agreements):
        axes.plot([each.low, each.high], [place, place], color=BLUE, linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot(each.alpha, place, "o", color=BLUE, markersize=9)
        axes.annotate(f"{each.alpha:.2f}", (each.alpha, place), (0, 9), textcoords="offset points", ha="center")
    for name, value in GRADES.items():
        axes.axvline(value, color=GREY, linestyle=":", zorder=0)
        axes.text(value, 1.02, name, color=GREY, ha="center", transform=axes.get_xaxis_transform(), fontsize=9)
    axes.set_yticks(range(len(agreements)), [f"{each.task}\n{each.items} items" for each in agreements])
    lows = [value for each in agreements for value in (each.low, each.alpha) if np.isfinite(value)]
    axes.set(xlim=(min(0.0, *lows) - 0.05, 1.05), ylim=(len(agreements) - 0.4, -0.75))
    axes.set_xlabel(f"Krippendorff's alpha ({agreements[0].level}), 95 % interval over items")
    _clear_frame(axes)
    return figure


def plot_label_quality(found: Sequence[LabelQuality]) -> Figure:
    """Cosines by relation, one panel a set of labels."""
    figure = Figure(figsize=(1 + 3.4 * len(found), 4.6), layout="constrained")
    grid = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, each in zip(grid, found, strict=True):
        _draw_cosines(axes, each)
    grid[0].set_ylabel("cosine of text and image")
    return figure


def plot_label_errors(candidates: Mapping[Task, ErrorCandidates]) -> Figure:
    """Precision by recall of the known errors down the ranking, one panel a task; chance as a dashed line."""
    figure = Figure(figsize=(1 + 4.2 * len(candidates), 4.4), layout="constrained")
    grid = figure.subplots(1, len(candidates), sharey=True, squeeze=False)[0]
    for axes, found in zip(grid, candidates.values(), strict=True):
        _draw_ranking(axes, found)
    grid[0].set_ylabel("precision: share of known errors")
    return figure


def _draw_cosines(axes: Axes, quality: LabelQuality) -> None:
    groups = {score: quality.cosines[quality.scores == score] for score in np.unique(quality.scores)}
    shift = np.random.default_rng(0)  # places of the dots beside each other: not a result
    for score, cosines in groups.items():
        spread = shift.uniform(-0.18, 0.18, len(cosines))
        axes.plot(score + spread, cosines, ".", color=BLUE, alpha=0.5, markersize=6, markeredgewidth=0, zorder=1)
    axes.boxplot(
        list(groups.values()), positions=list(groups), widths=0.55, showfliers=False,
        medianprops={"color": RED, "linewidth": 2}, boxprops={"color": GREY}, whiskerprops={"color": GREY},
        capprops={"color": GREY},
    )  # fmt: skip
    published = f" (published {quality.published:.2f})" if quality.published is not None else ""
    axes.set_title(f"{quality.set}, n = {quality.n}\nSpearman {quality.correlation:.2f}{published}", fontsize=11)
    names = CLASS_NAMES[Task.IMAGE_TEXT]
    axes.set_xticks(range(1, len(names) + 1), [f"{name}\n{score}" for score, name in enumerate(names, 1)])
    axes.set(xlim=(0.4, len(names) + 0.6), xlabel="relation and its score")
    _clear_frame(axes)


def _draw_ranking(axes: Axes, found: ErrorCandidates) -> None:
    pairs, flagged, known = found.counts
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.02), xlabel="recall of the known errors")
    axes.set_title(f"{found.task} task: {pairs} labels, {known} known errors", fontsize=11)
    _clear_frame(axes)
    if not known:
        axes.text(0.5, 0.5, "no error is known", ha="center", color=GREY)
        return
    ranks = np.flatnonzero(found.table["known_error"]) + 1  # where the ranking finds a known error
    hits = np.arange(1, known + 1)
    told = f"ranking, average precision {found.average_precision:.2f}"
    axes.plot(hits / known, hits / ranks, ".-", color=BLUE, label=told, clip_on=False)
    axes.axhline(found.base_rate, color=GREY, linestyle="--", label=f"chance {found.base_rate:.2f}")
    if flagged:
        axes.plot(found.recall, found.precision, "o", color=RED, label=f"the {flagged} flagged")
    axes.legend(frameon=False, loc="upper right")


def _clear_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
