"""Results against human labels: weighted F1, its interval and the report by class, under a named protocol.

Three sorts of system are evaluated: one model for its task, the text and the image model together on the
image-text task, and one k = 4 model read as all three tasks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from itrp.clustering.mapping import Mapping, apply_mapping
from itrp.errors import DataError
from itrp.evaluation.bootstrap import bootstrap_interval
from itrp.evaluation.class_mapping import NamingRule
from itrp.evaluation.protocols import Choice, Protocol, RoundPredictions, choose_round, weighted_f1
from itrp.labels import CLASS_NAMES, UNLABELLED, Task, combine_labels

if TYPE_CHECKING:  # torch is not needed to count
    from itrp.evaluation.cost import Cost

__all__ = [
    "Choice",
    "ClassFigures",
    "Evaluation",
    "Protocol",
    "RoundPredictions",
    "TaskPredictions",
    "align_rows",
    "choose_round",
    "evaluate",
    "evaluate_relations",
    "evaluate_together",
    "format_evaluations",
    "weighted_f1",
]


@dataclass(frozen=True, eq=False)
class TaskPredictions:
    """Everything one task's model predicts, with the labels: dev_labels [n_dev], test_labels [n_test].

    Labels are class indices or UNLABELLED, in the order of the clusters of every round.
    """

    rounds: Sequence[RoundPredictions]
    dev_labels: NDArray[np.integer]
    test_labels: NDArray[np.integer]
    named: bool = False
    """Whether the predictions are classes already (a supervised system's), so that no mapping is to be chosen."""
    whole_labels: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None
    """([n_whole] published, [n_whole] corrected) labels of the whole test split, for `oracle`; None: test_labels are both."""


class ClassFigures(TypedDict):
    """One class's line of the report."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A result: one system, task, test set and protocol."""

    system: str
    task: Task
    set: str
    """raw, RM or RL."""
    protocol: Protocol | NamingRule
    """Who chose mapping and checkpoint; `str()` is its name (dev, oracle, last, dev-20, joint)."""
    choices: tuple[Choice, ...]
    """One choice, or the text model's and the image model's where two models answer together."""
    mapping: Mapping
    """Cluster -> class of `task`; for two models the cluster is 2*text cluster + image cluster."""
    f1: float
    """Weighted F1, 0 to 1, as the accuracy."""
    accuracy: float
    low: float
    high: float
    """Ends of the bootstrap 95 % interval of the weighted F1."""
    n: int
    per_class: list[ClassFigures]
    confusion: NDArray[np.int64]
    """[c, c]: row = label, column = prediction."""
    labels: NDArray[np.int64] = field(repr=False)
    predictions: NDArray[np.int64] = field(repr=False)
    """[n] each: class indices of the labelled test pairs."""
    cost: "Cost | None" = None
    """Of all models that answered; None where it was not measured."""

    @property
    def round(self) -> int:
        """The chosen checkpoint; where two models answer together, the later of the two."""
        return max(choice.round for choice in self.choices)

    def figures(self) -> Iterator[tuple[str, float]]:
        """(name, value) of every figure to log, named `test_<set>/<protocol>/<figure>`."""
        prefix = f"test_{self.set}/{self.protocol}"
        for name in ("f1", "accuracy", "low", "high", "n", "round"):
            yield f"{prefix}/{name}", float(getattr(self, name))
        for index, figures in enumerate(self.per_class):
            for name in ("precision", "recall", "f1"):
                yield f"{prefix}/class_{index}/{name}", float(figures[name])  # type: ignore[literal-required]


def evaluate(
    protocol: Protocol | NamingRule,
    set_name: str,
    task: Task,
    predictions: TaskPredictions,
    *,
    system: str = "itrp",
    seed: int = 0,
) -> Evaluation:
    """Evaluate one model on one task (k = 2, or k = 4 for the image-text task, tried in all 24 mappings).

    seed: of the bootstrap. Raises DataError as `choose_round` does, and when no test pair is labelled.
    """
    choice = _choose(protocol, task, predictions)
    classes = apply_mapping(_test_clusters(predictions, choice), choice.mapping)
    verdict = _Verdict(system, protocol, set_name, (choice,), seed)
    return verdict.on(task, predictions.test_labels, classes, choice.mapping)


def evaluate_together(
    protocol: Protocol | NamingRule,
    set_name: str,
    text: TaskPredictions,
    image: TaskPredictions,
    *,
    system: str = "itrp",
    seed: int = 0,
) -> Evaluation:
    """Evaluate the text model and the image model together on the image-text task: class 2*T + I.

    Each model has its own checkpoint and mapping, chosen on its own task. The test pairs of both must be the
    same, in the same order; a pair with one label only counts for `oracle`'s choice, but not in the result.
    """
    if len(text.test_labels) != len(image.test_labels):
        raise DataError(
            f"expected the same test pairs twice, found {len(text.test_labels)} for the text task and "
            f"{len(image.test_labels)} for the image task: take the rows of the image-text test set for both"
        )
    choices = _choose(protocol, Task.TEXT, text), _choose(protocol, Task.IMAGE, image)
    mapping = tuple(2 * t + i for t in choices[0].mapping for i in choices[1].mapping)
    clusters = 2 * _test_clusters(text, choices[0]) + _test_clusters(image, choices[1])
    labels = combine_labels(text.test_labels, image.test_labels)
    verdict = _Verdict(system, protocol, set_name, choices, seed)
    return verdict.on(Task.IMAGE_TEXT, labels, apply_mapping(clusters, mapping), mapping)


def evaluate_relations(
    protocol: Protocol | NamingRule,
    set_name: str,
    predictions: TaskPredictions,
    *,
    system: str = "itrp",
    seed: int = 0,
) -> list[Evaluation]:
    """Evaluate one k = 4 model on all three tasks: text, image, image-text, in this order.

    Checkpoint and mapping are chosen once, on the image-text labels; T and I are read off the relation
    2*T + I. So the paper's Table 3 gets text and image figures from one k = 4 clustering.
    """
    choice = _choose(protocol, Task.IMAGE_TEXT, predictions)
    relations = apply_mapping(_test_clusters(predictions, choice), choice.mapping)
    verdict = _Verdict(system, protocol, set_name, (choice,), seed)
    labels = np.asarray(predictions.test_labels)
    known = labels != UNLABELLED
    text_labels, image_labels = (np.where(known, part, UNLABELLED) for part in (labels // 2, labels % 2))
    mapping = choice.mapping
    return [
        verdict.on(Task.TEXT, text_labels, relations // 2, tuple(c // 2 for c in mapping)),
        verdict.on(Task.IMAGE, image_labels, relations % 2, tuple(c % 2 for c in mapping)),
        verdict.on(Task.IMAGE_TEXT, labels, relations, mapping),
    ]


def format_evaluations(evaluations: Sequence[Evaluation]) -> str:
    """A plain table, one line an evaluation, figures in per cent, cost of 1,000 pairs; ends without a line break."""
    header = (
        "system", "task", "set", "protocol", "round", "F1", "95 % interval", "accuracy", "pairs", "s/1000", "GFLOP/1000",
    )  # fmt: skip
    lines = [header, *(_format_cells(evaluation) for evaluation in evaluations)]
    return "\n".join(align_rows(lines, words=4))


def _format_cells(evaluation: Evaluation) -> tuple[str, ...]:
    """The cells of one line of the table."""
    return (
        evaluation.system,
        str(evaluation.task),
        evaluation.set,
        str(evaluation.protocol),
        "+".join(str(choice.round or "-") for choice in evaluation.choices),
        f"{100 * evaluation.f1:.1f}",
        f"{100 * evaluation.low:.1f}-{100 * evaluation.high:.1f}",
        f"{100 * evaluation.accuracy:.1f}",
        str(evaluation.n),
        f"{evaluation.cost.seconds_per_1000:.1f}" if evaluation.cost else "-",
        f"{evaluation.cost.gflop_per_1000:,.0f}" if evaluation.cost else "-",
    )


def _choose(protocol: Protocol | NamingRule, task: Task, predictions: TaskPredictions) -> Choice:
    """`choose_round`, with the test labels handed over only where the protocol is allowed to see them."""
    if not isinstance(protocol, Protocol):
        if not predictions.named:
            return protocol.choose(task, predictions.rounds, predictions.dev_labels)
        protocol = Protocol.LAST  # named already: what is left of a naming rule is its checkpoint
    classes, named = len(CLASS_NAMES[task]), predictions.named
    if protocol is not Protocol.ORACLE:
        return choose_round(protocol, predictions.rounds, predictions.dev_labels, classes, named=named)
    published, corrected = predictions.whole_labels or (predictions.test_labels, predictions.test_labels)
    return choose_round(
        protocol, predictions.rounds, predictions.dev_labels, classes, published, named=named, judged_by=corrected
    )


def _test_clusters(predictions: TaskPredictions, choice: Choice) -> NDArray[np.int64]:
    """The chosen checkpoint's clusters of the test pairs, [n_test]."""
    chosen = next(each for each in predictions.rounds if each.round == choice.round)
    return np.asarray(chosen.test, dtype=np.int64)


@dataclass(frozen=True)
class _Verdict:
    """What the evaluations of one choice have in common."""

    system: str
    protocol: Protocol | NamingRule
    set_name: str
    choices: tuple[Choice, ...]
    seed: int

    def on(
        self, task: Task, labels: NDArray[np.integer], predictions: NDArray[np.int64], mapping: Mapping
    ) -> Evaluation:
        """Compare [n] predicted classes with [n] labels; unlabelled rows are left out."""
        labels, predictions = _keep_labelled(labels, predictions, self.set_name)
        low, high = bootstrap_interval(labels, predictions, seed=self.seed)
        return Evaluation(
            system=self.system,
            task=task,
            set=self.set_name,
            protocol=self.protocol,
            choices=self.choices,
            mapping=mapping,
            f1=weighted_f1(labels, predictions),
            accuracy=float((labels == predictions).mean()),
            low=low,
            high=high,
            n=len(labels),
            per_class=_report_classes(task, labels, predictions),
            confusion=confusion_matrix(labels, predictions, labels=range(len(CLASS_NAMES[task]))),
            labels=labels,
            predictions=predictions,
        )


def _keep_labelled(
    labels: NDArray[np.integer], predictions: NDArray[np.int64], set_name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels and predictions of the labelled rows; DataError for none or for lengths that differ."""
    labels = np.asarray(labels, dtype=np.int64)
    if len(labels) != len(predictions):
        raise DataError(
            f"expected one prediction a label on the test set {set_name}, "
            f"found {len(predictions)} predictions and {len(labels)} labels"
        )
    labelled = labels != UNLABELLED
    if not labelled.any():
        raise DataError(f"the test set {set_name} has no labelled pair: ingest a labelled data set with a test split")
    return labels[labelled], predictions[labelled]


def _report_classes(task: Task, labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> list[ClassFigures]:
    """Precision, recall, F1 and support by class; zeros where a class has neither labels nor predictions."""
    names = CLASS_NAMES[task]
    columns = precision_recall_fscore_support(
        labels, predictions, labels=range(len(names)), average=None, zero_division=0
    )
    return [
        ClassFigures(name=name, precision=float(p), recall=float(r), f1=float(f), support=int(s))
        for name, p, r, f, s in zip(names, *columns, strict=True)
    ]


def align_rows(rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Rows of equal length (the header is one) as lines; the first `words` columns to the left, the others, numbers, to the
    right, so that the decimal points stand under each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
