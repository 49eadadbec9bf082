"""What one run says of a labelled data set: kept on disk, evaluated under any protocol and on any test set."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from itrp.baselines.zero_shot_similarity import choose_task_threshold, similarity_rounds
from itrp.data.annotations import Annotations
from itrp.errors import DataError
from itrp.evaluation.cost import Cost
from itrp.evaluation.labelled_predictions import find_test_side, predictions_on
from itrp.evaluation.results import Protocol, TaskPredictions
from itrp.files import write_atomically
from itrp.labels import Task

ARRAYS_FILE, FACTS_FILE = "answers.npz", "answers.json"


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """Predictions of r rounds (epochs) on the n pairs of a labelled set.

    rounds: [r]. clusters: [r, n] by the task they are about; UNLABELLED for rows that no choice and no figure looks at.
    dev_rows: rows whose labels may choose round and mapping under `dev`. named: whether the clusters are classes already.
    cost: of one model, for one thousand pairs.
    """

    rounds: NDArray[np.int64]
    clusters: Mapping[Task, NDArray[np.int64]]
    dev_rows: NDArray[np.intp]
    named: bool
    cost: Cost
    run_id: str = ""
    """The MLflow run that gave them."""
    prompt_sha256: str = ""
    """Of the prompt, where there was one."""

    def on(
        self, task: Task, annotations: Annotations, set_name: str, protocol: Protocol, *, rows_of: Task | None = None
    ) -> TaskPredictions:
        """The predictions about a task, with the labels of a test set.

        `rows_of`: the task whose test rows are taken, the same one by default. Raises DataError for a task they are not about.
        """
        if task not in self.clusters:
            raise DataError(
                f"expected predictions about {', '.join(self.clusters)}, found the {task} task: take another system"
            )
        rounds = dict(zip(map(int, self.rounds), self.clusters[task], strict=True))
        return predictions_on(annotations, task, set_name, rounds, self.dev_rows, named=self.named, rows_of=rows_of)

    def save(self, folder: Path) -> None:
        """Write arrays and facts into a folder; the facts last, so that predictions which have them are whole."""
        arrays = {f"clusters/{task}": clusters for task, clusters in self.clusters.items()}
        facts = {"named": self.named, "prompt_sha256": self.prompt_sha256}
        _save(folder, self, {"rounds": self.rounds, **arrays}, facts)


@dataclass(frozen=True, eq=False)
class SimilarityPredictions:
    """Text-image cosines [n] of a labelled set's pairs: the labels a protocol may see choose the threshold."""

    cosines: NDArray[np.float32]
    dev_rows: NDArray[np.intp]
    cost: Cost
    run_id: str = ""

    def on(
        self, task: Task, annotations: Annotations, set_name: str, protocol: Protocol, *, rows_of: Task | None = None
    ) -> TaskPredictions:
        """As `RunPredictions.on`, for the text and the image task; the threshold is the protocol's."""
        test_rows, test_labels = find_test_side(annotations, task, set_name, rows_of)
        dev, test = self.cosines[self.dev_rows], self.cosines[test_rows]
        dev_labels = annotations.labels(task)[self.dev_rows]
        seen = test_labels if protocol is Protocol.ORACLE else None
        threshold = choose_task_threshold(protocol, task, dev, dev_labels, test, seen)
        return TaskPredictions(similarity_rounds(threshold, dev, test), dev_labels, test_labels, named=True)

    def save(self, folder: Path) -> None:
        """As `RunPredictions.save`."""
        _save(folder, self, {"cosines": self.cosines}, {})


AnyPredictions: TypeAlias = RunPredictions | SimilarityPredictions


def load_predictions(folder: Path) -> AnyPredictions | None:
    """What `save` wrote; None where a run has not finished yet."""
    if not (folder / FACTS_FILE).exists():
        return None
    facts = json.loads((folder / FACTS_FILE).read_text())
    cost = Cost(**facts.pop("cost"))
    with np.load(folder / ARRAYS_FILE) as file:
        arrays = dict(file)
    if "cosines" in arrays:
        return SimilarityPredictions(arrays["cosines"], arrays["dev_rows"], cost, **facts)
    clusters = {Task(name.split("/", 1)[1]): array for name, array in arrays.items() if name.startswith("clusters/")}
    return RunPredictions(arrays["rounds"], clusters, arrays["dev_rows"], cost=cost, **facts)


def _save(
    folder: Path, predictions: AnyPredictions, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, object]
) -> None:
    with write_atomically(folder / ARRAYS_FILE) as draft, draft.open("wb") as file:
        np.savez_compressed(file, dev_rows=predictions.dev_rows, **dict(arrays))  # type: ignore[arg-type]
    with write_atomically(folder / FACTS_FILE) as draft:
        draft.write_text(
            json.dumps({**facts, "cost": asdict(predictions.cost), "run_id": predictions.run_id}, indent=1) + "\n"
        )
