"""Figures of the finished cells, and the one table that shows them."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from itrp.evaluation.bootstrap import bootstrap_interval, bootstrap_mean_interval
from itrp.evaluation.protocols import weighted_f1
from tests.benchmarks.quality_cells import SYSTEMS, Cell, TestSet
from tests.benchmarks.quality_sets import SETS
from tests.benchmarks.record import Row, Run, format_table

PREFIX = "quality: "
MAJORITY = "majority"
NOTES = """What is not known comes first. **The images of ITR, the set of the paper, are not here**, so nobody knows these
figures on it. No set below is tweets labelled by the field's annotators: captions are sentences about photographs, synthetic
tweets follow rules. Intervals are over the test pairs alone; other seeds, other tweets to learn from and other people are not
in them.

Each cell: weighted F1 in per cent on the test split, mean over the seeds (95 % bootstrap interval of that mean), AUC of the
class-1 probability, and where people rated the pairs Spearman's rho with the mean rating; CPU-seconds of training + of scoring
1,000 tweets, of the first seed, both with the encoders' passes and nothing cached, one thread; peak memory of the training
process. A cell without CPU-seconds began with vectors that another run had cached. An empty cell is not measured, or asks for a
task that the system does not answer.

k-means (on the vectors that aligned has, two clusters) and ITRp: clusters named, and of ITRp the round chosen, with all labels
of the train split, as `itrp evaluate` does (protocol dev). Aligned sees no label at all and names its classes itself, except
where a cell is marked † (its own gate gave no names in a run, and labels of the train split did). All three learn from unlabelled
pairs: 2,000 captions, about half of them another photograph's, or 1,500 synthetic tweets. A labelled head learns from so many
labels of the train split; a * b and z are those of an aligned model that was trained on the unlabelled pairs before, whose cost
is not in the head's.
`python -m tests.benchmarks.quality --data FOLDER` measures."""


def measure_majority(test: TestSet) -> dict[str, float]:
    """Figures of the train split's most frequent class."""
    labels = np.array(test.labels)
    predictions = np.full(len(labels), test.majority)
    low, high = bootstrap_interval(labels, predictions, seed=0)
    return {"f1": weighted_f1(labels, predictions), "low": low, "high": high, "n": len(labels)}


def measure_cells(test: TestSet, cells: Sequence[Cell]) -> dict[str, float]:
    """Means over the seeds, on the test pairs that every run has labelled; the interval is that of the mean F1."""
    known = np.all([[label is not None for label in cell.labels] for cell in cells], axis=0)
    labels = np.array(test.labels)[known]
    runs = np.array([_pick(cell.labels, known) for cell in cells]).astype(np.int64)
    probabilities = [_pick(cell.probabilities, known) for cell in cells]
    low, high = bootstrap_mean_interval(labels, runs, seed=0)
    figures = {
        "f1": fmean(weighted_f1(labels, run) for run in runs),
        "low": low,
        "high": high,
        "auc": fmean(float(roc_auc_score(labels, each)) for each in probabilities),
        "named_by_labels": float(any(cell.named_by_labels for cell in cells)),
        "seeds": len(cells),
        "n": len(labels),
    }
    if test.ratings is not None:
        rated = np.array(test.ratings)[known]
        ordered = [each for each in probabilities if np.ptp(each) > 0]  # one probability for all has no correlation
        if ordered:
            figures["rho"] = fmean(float(spearmanr(rated, each).statistic) for each in ordered)
    gates = [cell.gate for cell in cells if cell.gate is not None]
    costs = [cell.cost for cell in cells if cell.cost is not None]
    figures |= {name: fmean(cost[name] for cost in costs) for name in (costs[0] if costs else ())}
    return figures | ({"gate": fmean(gates)} if gates else {})


def _pick(values: Sequence[float | None], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[known]


def name_row(set_name: str, task: str, system: str) -> str:
    """`what` of a row."""
    return f"{PREFIX}{set_name}, {task} task: {system}"


def make_row(set_name: str, task: str, system: str, pairs: int, figures: dict[str, float]) -> Row:
    """A cell of the table as a row that is kept. `pairs`: labelled ones of both splits."""
    chosen = next(each for each in SETS if each.name == set_name)
    return Row(
        what=name_row(set_name, task, system),
        how=f"{chosen.told}, labelled by {chosen.labelled_by}; {figures['n']:.0f} test pairs",
        target="",
        measured=tell_figures(figures, system),
        figures={**figures, "pairs": pairs},
    )


def tell_figures(figures: dict[str, float], system: str) -> str:
    """One cell as a reader sees it."""
    told = f"**{100 * figures['f1']:.1f}** ({100 * figures['low']:.1f} to {100 * figures['high']:.1f})"
    if system == MAJORITY:
        return told
    mark = "†" if figures["named_by_labels"] and system == "aligned" else ""
    parts = [f"{told}{mark}, AUC {figures['auc']:.2f}"]
    if "rho" in figures:
        parts.append(f"rho {figures['rho']:.2f}")
    seeds = f"{figures['seeds']:.0f} seed{'s' if figures['seeds'] > 1 else ''}"
    costs = [f"{figures[each]:.0f}" for each in ("train_cpu_seconds", "score_cpu_seconds_1000") if each in figures]
    cost = f"; {' + '.join(costs)} s, {figures['peak_mib'] / 1024:.1f} GiB" if costs else ""
    return f"{', '.join(parts)}{cost}; {seeds}"


def format_quality(rows: Sequence[Row]) -> str:
    """One table: a line a set and task, a column a system that was measured anywhere; empty without any row."""
    found = {row.what: row for row in rows}
    systems = [each for each in SYSTEMS if any(what.endswith(f" task: {each.name}") for what in found)]
    head = ("set", "task", "labels by", "pairs (test)", MAJORITY, *(each.title for each in systems))
    cells = []
    for chosen in SETS:
        for task in chosen.tasks:
            names = [name_row(chosen.name, task, each) for each in (MAJORITY, *(each.name for each in systems))]
            known = [found[name] for name in names if name in found]
            if not known:
                continue
            figures = known[0].figures
            told = [found[name].measured if name in found else "" for name in names]
            sizes = f"{figures['pairs']:,.0f} ({figures['n']:,.0f})"
            cells.append((chosen.told, str(task), chosen.labelled_by, sizes, *told))
    return format_table([head, *cells]) if cells else ""


def choose_newest_rows(runs: Sequence[Run]) -> list[Row]:
    """The last row of each cell, runs oldest first, whatever machine it was measured on."""
    return [*{row.what: row for run in runs for row in run.rows if row.what.startswith(PREFIX)}.values()]
