"""Pictures of a run, for MLflow: rounds, cluster sizes, confusion."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from itrp.labels import CLASS_NAMES, Task
from itrp.training import RoundResult


def plot_rounds(rounds: Sequence[RoundResult]) -> Figure:
    """Loss, and agreement with the previous round, by round."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    numbers = [result.round for result in rounds]
    axes.plot(numbers, [result.loss for result in rounds], "o-", label="loss")
    axes.set(xlabel="round", ylabel="mean cross-entropy", xticks=numbers)
    other = axes.twinx()
    known = [(result.round, result.agreement) for result in rounds if result.agreement is not None]
    other.plot(
        [number for number, _ in known], [share for _, share in known], "s--", color="tab:green", label="agreement"
    )
    other.set(ylabel="agreement with previous round", ylim=(0.45, 1.02))
    figure.legend(loc="outside upper center", ncols=2)
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
    axes.legend()
    return figure


def plot_confusion(task: Task, confusion: NDArray[np.int64], title: str) -> Figure:
    """Human labels by predicted labels."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(confusion, cmap="Blues")
    names = CLASS_NAMES[task]
    axes.set(xlabel="predicted", ylabel="human label", title=title)
    axes.set_xticks(range(len(names)), names, rotation=15)
    axes.set_yticks(range(len(names)), names)
    dark = confusion.max() / 2
    for (row, column), count in np.ndenumerate(confusion):
        axes.text(column, row, str(count), ha="center", va="center", color="white" if count > dark else "black")
    return figure
