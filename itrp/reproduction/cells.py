"""A table's cells filled in: mean and deviation over seeds, interval, cost, and the distance from what was published."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itrp.data.annotations import Annotations
from itrp.evaluation.bootstrap import bootstrap_mean_interval
from itrp.evaluation.cost import Cost, add_costs
from itrp.evaluation.results import Evaluation, Protocol, evaluate, evaluate_relations, evaluate_together
from itrp.labels import Task
from itrp.reproduction.grids import Cell
from itrp.reproduction.predictions import AnyPredictions, RunPredictions


@dataclass(frozen=True)
class CellResult:
    """A cell under one protocol. Weighted F1 is 0 to 1 here, as everywhere but in what was published."""

    cell: Cell
    protocol: Protocol
    f1: tuple[float, ...]
    """By seed."""
    low: float
    high: float
    """Ends of the bootstrap 95 % interval of the mean over the seeds."""
    n: int
    """Test pairs."""
    cost: Cost
    """Of all models that answer together."""
    stand_in: bool
    """Whether a part of the system has random weights in place of pretrained ones."""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.f1))

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for one seed."""
        return float(np.std(self.f1, ddof=1)) if len(self.f1) > 1 else None

    @property
    def difference(self) -> float | None:
        """Ours less the published figure, in points of per cent; None where nothing was published."""
        return None if self.cell.published is None else 100 * self.mean - self.cell.published


def fill_cell(
    cell: Cell,
    protocol: Protocol,
    runs: Sequence[Sequence[AnyPredictions]],
    annotations: Annotations,
    *,
    stand_in: bool = False,
) -> CellResult:
    """Evaluate a cell. runs: for each seed the predictions of the system's runs, the text task's first.

    Raises DataError as the evaluation does.
    """
    evaluations = [
        evaluate_predictions(run, annotations, cell.task, cell.set, protocol, system=cell.row) for run in runs
    ]
    predictions = np.stack([evaluation.predictions for evaluation in evaluations])
    low, high = bootstrap_mean_interval(evaluations[0].labels, predictions, seed=0)
    used = runs[0] if cell.task is Task.IMAGE_TEXT else runs[0][-1:] if cell.task is Task.IMAGE else runs[0][:1]
    return CellResult(
        cell=cell,
        protocol=protocol,
        f1=tuple(evaluation.f1 for evaluation in evaluations),
        low=low,
        high=high,
        n=evaluations[0].n,
        cost=add_costs([side.cost for side in used]),
        stand_in=stand_in,
    )


def evaluate_predictions(
    run: Sequence[AnyPredictions],
    annotations: Annotations,
    task: Task,
    set_name: str,
    protocol: Protocol,
    *,
    system: str,
) -> Evaluation:
    """One model on its task, two together (the text task's first), or one model's relations read as the task."""
    text, image = run[0], run[-1]
    if isinstance(text, RunPredictions) and Task.IMAGE_TEXT in text.clusters:
        predictions = text.on(Task.IMAGE_TEXT, annotations, set_name, protocol, rows_of=task)
        every = evaluate_relations(protocol, set_name, predictions, system=system)
        return next(evaluation for evaluation in every if evaluation.task is task)
    if task is Task.IMAGE_TEXT:
        sides = [
            side.on(each, annotations, set_name, protocol, rows_of=Task.IMAGE_TEXT)
            for side, each in ((text, Task.TEXT), (image, Task.IMAGE))
        ]
        return evaluate_together(protocol, set_name, *sides, system=system)
    side = text if task is Task.TEXT else image
    return evaluate(protocol, set_name, task, side.on(task, annotations, set_name, protocol), system=system)
