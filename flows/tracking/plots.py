"""Images of a run, for MLflow: rounds, cluster sizes, confusion."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from itrp.alignment.compare import ComparedVectors
from itrp.alignment.fit import FittedAlignment
from itrp.alignment.gate import GATE
from itrp.baselines.supervised_training import EpochResult
from itrp.evaluation.reliability import bin_reliability
from itrp.labels import CLASS_NAMES, Task
from itrp.training.head_fit import FittedHead
from itrp.training.trainer import RoundResult

SHARES = {
    "agreement_with_previous_round": "agreement with the previous round",
    "held_out_f1_text": "held-out F1, text",
    "held_out_f1_image": "held-out F1, image",
}
"""Figures of a round or an epoch between 0 and 1 that are worth a curve."""


def plot_rounds(rounds: Sequence[RoundResult | EpochResult]) -> Figure:
    """Loss by round, and the shares among the figures: agreement with the previous round, or held-out F1 by task."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    numbers = [result.round for result in rounds]
    axes.plot(numbers, [result.loss for result in rounds], "o-", label="loss")
    unit = "epoch" if isinstance(rounds[0], EpochResult) else "round"
    axes.set(xlabel=unit, ylabel="mean cross-entropy", xticks=numbers)
    other = axes.twinx()
    curves: dict[str, list[tuple[int, float]]] = {}
    for result in rounds:
        for name, value in result.figures():
            if name in SHARES:
                curves.setdefault(SHARES[name], []).append((result.round, value))
    for colour, (label, points) in zip(("tab:green", "tab:orange"), curves.items(), strict=False):
        other.plot(*zip(*points, strict=True), "s--", color=colour, label=label)
    other.set(ylabel="share", ylim=(0, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def plot_clusters(rounds: Sequence[RoundResult]) -> Figure:
    """Sizes of the clusters by round."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sizes = np.array([result.cluster_sizes for result in rounds])
    bottom = np.zeros(len(rounds))
    for cluster in range(sizes.shape[1]):
        axes.bar([result.round for result in rounds], sizes[:, cluster], bottom=bottom, label=f"cluster {cluster}")
        bottom += sizes[:, cluster]
    axes.set(xlabel="round", ylabel="pairs", xticks=[result.round for result in rounds])
    figure.legend(loc="outside upper center", ncols=sizes.shape[1])
    return figure


def plot_match_scores(fitted: FittedAlignment | ComparedVectors) -> Figure:
    """How much better pairs fit than chance: held-out pairs as they are, and with another image; where the classes part."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    both = np.concatenate([fitted.true, fitted.shuffled])
    low, high = np.quantile(both, (0.001, 0.999))
    edges = np.linspace(float(low), float(high), 61)
    axes.hist(fitted.shuffled, list(edges), density=True, alpha=0.5, color="tab:gray", label="shuffled pairs")
    axes.hist(fitted.true, list(edges), density=True, alpha=0.5, color="tab:blue", label="pairs as they are")
    axes.axvline(fitted.decision.threshold, color="black", linestyle="--", label="threshold")
    axes.set(
        xlabel="z: how much better than with random partners, in standard deviations",
        ylabel="density",
        title=f"area {fitted.area:.3f}, estimated share of matching pairs {fitted.share:.0%}",
    )
    axes.legend()
    return figure


def plot_learning_curve(curve: Sequence[tuple[int, float]]) -> Figure:
    """Area of true against shuffled held-out pairs by the number of pairs learned from: would more tweets help?"""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sizes, areas = zip(*curve, strict=True)
    axes.plot(sizes, areas, "o-")
    axes.axhline(GATE, color="black", linestyle="--", label=f"needed for class names ({GATE:.2f})")
    axes.set(
        xlabel="pairs learned from, before re-weighting",
        ylabel="area, true against shuffled",
        xscale="log",
        xticks=sizes,
    )
    axes.set_xticks([], minor=True)
    axes.set_xticklabels([f"{size:,}" for size in sizes])
    axes.legend()
    return figure


def plot_reliability(task: Task, head: FittedHead) -> Figure:
    """Share of class 1 among held-out labels by predicted probability, which it should equal; and how many labels there are."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    upper, lower = figure.subplots(2, height_ratios=(3, 1), sharex=True)
    everything = np.tile(head.labels, len(head.held_out))
    bins = bin_reliability(everything, head.held_out.ravel())
    predicted = [each.predicted for each in bins]
    upper.plot([0, 1], [0, 1], color="tab:gray", linestyle="--", label="calibrated")
    upper.plot(predicted, [each.observed for each in bins], "o-", label="held-out labels")
    figures = dict(head.figures())
    upper.set(
        ylabel="share of the class",
        ylim=(-0.02, 1.02),
        title=f"{CLASS_NAMES[task][1]}: {len(head.labels)} labels\n"
        f"expected calibration error {figures['cv_ece']:.3f}, by chance alone {figures['cv_ece_chance']:.3f}",
    )
    upper.legend()
    lower.bar(predicted, [each.share * len(head.labels) for each in bins], width=0.05)
    lower.set(xlabel=f"predicted probability of '{CLASS_NAMES[task][1]}'", ylabel="labels", xlim=(-0.02, 1.02))
    return figure


def plot_confusion(task: Task, confusion: NDArray[np.int64], title: str) -> Figure:
    """Human labels by predicted labels."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(confusion, cmap="Blues")
    names = CLASS_NAMES[task]
    axes.set(xlabel="predicted", ylabel="human label", title=title)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    dark = confusion.max() / 2
    for (row, column), count in np.ndenumerate(confusion):
        axes.text(column, row, str(count), ha="center", va="center", color="white" if count > dark else "black")
    return figure
