"""Who may choose a model's mapping and checkpoint, and on which labels: the three protocols.

Clusters carry no names and training has no stopping rule, so labels must choose both. Sun et al. 2023 choose
on the test labels (`oracle`); the honest way chooses on the labelled train split (`dev`). The two are never
mixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from itrp.clustering.mapping import Mapping, apply_mapping, best_mapping
from itrp.errors import DataError
from itrp.labels import UNLABELLED


class Protocol(StrEnum):
    """Which labels choose the mapping and the checkpoint."""

    DEV = "dev"
    """Both on the labelled train split; the test labels are touched once, to count. The default."""
    ORACLE = "oracle"
    """Both on the test labels, as the reference code does: an upper bound, not a result. Where a test set has corrections, the
    mapping is chosen on the labels as published and the checkpoint on the corrected ones, for all of raw, RM and RL."""
    LAST = "last"
    """The last checkpoint, mapping from the train split."""


@dataclass(frozen=True, eq=False)
class RoundPredictions:
    """Clusters a checkpoint gives to the labelled pairs: dev [n_dev], test [n_test]."""

    round: int
    dev: NDArray[np.integer]
    test: NDArray[np.integer]
    whole: NDArray[np.integer] | None = None
    """[n_whole], of the whole test split, on which `oracle` chooses; None where that is `test`."""


@dataclass(frozen=True)
class Choice:
    """The checkpoint and the mapping a protocol chose."""

    round: int
    mapping: Mapping


def weighted_f1(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> float:
    """Weighted F1 (scikit-learn, zero_division=0) of [n] class indices; the method's one metric."""
    return float(f1_score(labels, predictions, average="weighted", zero_division=0))


def choose_round(
    protocol: Protocol,
    rounds: Sequence[RoundPredictions],
    dev_labels: NDArray[np.integer],
    classes: int,
    test_labels: NDArray[np.integer] | None = None,
    *,
    named: bool = False,
    judged_by: NDArray[np.integer] | None = None,
) -> Choice:
    """Choose the mapping (best accuracy) and the checkpoint (best weighted F1) that the protocol allows.

    `test_labels` are asked for under `oracle` and rejected otherwise: without them nothing can leak from the
    test set. Of checkpoints with one F1 the earliest is taken, so that further rounds that bring nothing
    never change the choice. `named`: the predictions are classes already, as a supervised system's are, and only the
    checkpoint is chosen. `judged_by`: under `oracle`, the labels that choose the checkpoint where they are not those that
    choose the mapping (Sun et al. 2023 map on the published labels and judge by the corrected ones).
    Raises DataError for no rounds, a repeated round, lengths that differ, and test labels under the wrong protocol.
    """
    if (protocol is Protocol.ORACLE) != (test_labels is not None):
        raise DataError(
            "expected test labels under the protocol oracle and under no other, "
            f"found {'some' if test_labels is not None else 'none'} under {protocol}"
        )
    ordered = _sort_rounds(rounds)
    names = tuple(range(classes)) if named else None
    if protocol is Protocol.LAST:
        return Choice(ordered[-1].round, names or best_mapping(ordered[-1].dev, dev_labels, classes))
    if test_labels is not None:
        seen = [(each.round, each.test if each.whole is None else each.whole) for each in ordered]
        return _choose_best(seen, test_labels, classes, names, judged_by)
    if named and len(ordered) == 1:
        return Choice(ordered[0].round, tuple(range(classes)))  # nothing is left to choose, so no label is needed
    return _choose_best([(each.round, each.dev) for each in ordered], dev_labels, classes, names)


def _sort_rounds(rounds: Sequence[RoundPredictions]) -> list[RoundPredictions]:
    """The rounds by number; DataError for none or a repeated one."""
    if not rounds:
        raise DataError("expected predictions of at least one checkpoint, found none: train a model first")
    ordered = sorted(rounds, key=lambda each: each.round)
    numbers = [each.round for each in ordered]
    if len(set(numbers)) != len(numbers):
        raise DataError(f"expected each round once, found the rounds {numbers}: predict with every checkpoint once")
    return ordered


def _choose_best(
    rounds: list[tuple[int, NDArray[np.integer]]],
    labels: NDArray[np.integer],
    classes: int,
    names: Mapping | None,
    judged_by: NDArray[np.integer] | None = None,
) -> Choice:
    """The round with the best weighted F1 under its own best mapping (or the given one), on the labelled rows."""
    judges = np.asarray(labels if judged_by is None else judged_by)
    labelled = judges != UNLABELLED
    choices, scores = [], []
    for number, clusters in rounds:
        mapping = names or best_mapping(clusters, labels, classes)
        predicted = apply_mapping(clusters[labelled], mapping)
        choices.append(Choice(number, mapping))
        scores.append(weighted_f1(judges[labelled], predicted))
    return choices[int(np.argmax(scores))]  # argmax keeps the first of equals
