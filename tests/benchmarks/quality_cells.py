"""Cells of the table of quality: one system with one seed on one task of one set, each kept in a file once it is finished."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from itrp.experiments import EXPERIMENTS
from itrp.files import write_atomically
from itrp.labels import Task
from tests.benchmarks.quality_sets import LABELLED_NAME, UNLABELLED_NAME, QualitySet
from tests.benchmarks.quality_step import COLD, EARLIER_CACHE, run_step


@dataclass(frozen=True)
class QualitySystem:
    """A column of the table."""

    name: str
    title: str
    experiments: dict[Task, tuple[str, ...]]
    """By task: the experiment's name and the settings to change."""
    learns_from: str = UNLABELLED_NAME
    stands_on: str | None = None
    """An experiment that is trained on the unlabelled tweets before, as their owner has done; its cost is its own row's."""

    def experiment(self, task: Task) -> tuple[str, ...] | None:
        """None where it does not answer the task, or this version does not know the experiment."""
        found = self.experiments.get(task)
        return found if found is not None and found[0] in EXPERIMENTS else None

    def changed(self, settings: Sequence[str]) -> "QualitySystem":
        """The same with more settings changed, under a name that says so."""
        if not settings:
            return self
        changed = {task: (*experiment, *settings) for task, experiment in self.experiments.items()}
        return replace(self, name=f"{self.name}+{'+'.join(settings)}".replace("/", "_"), experiments=changed)


def _of_both(experiment: str, *settings: str) -> dict[Task, tuple[str, ...]]:
    return {task: (experiment, f"task={task}", *settings) for task in (Task.TEXT, Task.IMAGE)}


_ON_ALIGNED = (LABELLED_NAME, "small-aligned")
SYSTEMS = (
    # on the vectors that small-aligned has: images of 224 x 224
    QualitySystem("kmeans", "vanilla k-means", _of_both("small-vanilla-kmeans", "k=2", "image.size=224")),
    QualitySystem("itrp", "ITRp", {Task.TEXT: ("small-text",), Task.IMAGE: ("small-image",)}),
    QualitySystem("aligned", "aligned", {Task.TEXT: ("small-aligned",)}),
    QualitySystem("picture", "images alone", {Task.IMAGE: ("small-picture",)}),
    QualitySystem("head20", "labelled head, 20 labels", _of_both("labelled-head", "labels=20"), *_ON_ALIGNED),
    QualitySystem("head100", "labelled head, 100 labels", _of_both("labelled-head", "labels=100"), *_ON_ALIGNED),
)


@dataclass(frozen=True)
class TestSet:
    """The test split of a task: n pairs."""

    ids: list[str]
    labels: list[int]
    ratings: list[float] | None
    """Means of people's ratings, where there are some."""
    majority: int
    """The most frequent class of the train split."""
    dev: int
    """Labelled pairs of the train split."""


@dataclass(frozen=True)
class Cell:
    """One run."""

    set: str
    task: str
    system: str
    seed: int
    labels: list[int | None]
    """By test pair; None where its image cannot be decoded."""
    probabilities: list[float | None]
    """Of class 1."""
    named_by_labels: bool
    """Whether labels of the train split said which cluster is which class."""
    gate: float | None
    """Of an aligned model: the area of true against shuffled held-out pairs."""
    cost: dict[str, float] | None
    """Of a run with nothing cached: train_cpu_seconds, score_cpu_seconds_1000, peak_mib. None of one that found its vectors."""


class CellBook:
    """Finished cells and prepared platforms in a folder outside the repository: they hold ids and predictions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def vectors(self) -> Path:
        """Folder of the frozen encoders' vectors that runs have left, whatever their set: shards are named by their content."""
        place = self.folder / "vectors"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def path(self, set_name: str, task: Task, system: str, seed: int) -> Path:
        """Of a cell's file."""
        return self.folder / "cells" / f"{set_name}-{task}-{system}-{seed}.json"

    def read(self, set_name: str, task: Task, system: str, seed: int) -> Cell | None:
        """A finished cell; None where there is none."""
        path = self.path(set_name, task, system, seed)
        return Cell(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def read_all(self, set_name: str, task: Task, system: str) -> list[Cell]:
        """The finished cells of all seeds, in order."""
        paths = self.path(set_name, task, system, 0).parent.glob(f"{set_name}-{task}-{system}-*.json")
        cells = [Cell(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]
        return sorted(cells, key=lambda cell: cell.seed)

    def write(self, cell: Cell) -> None:
        """Keep a finished cell."""
        _write_json(self.path(cell.set, Task(cell.task), cell.system, cell.seed), asdict(cell))

    def platform(self, chosen: QualitySet) -> Path:
        """Work folder with the set's data, which every run begins with a copy of."""
        return self.folder / "platforms" / chosen.name

    def prepare(self, chosen: QualitySet, data: Path) -> None:
        """Ingest a set, unless that has been done."""
        told = self._told(chosen)
        if told.exists():
            return
        place = self.platform(chosen)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        found = run_step("prepare", place, chosen.name, str(data.resolve()))
        shutil.rmtree(place / "cache", ignore_errors=True)
        _write_json(told, found)

    def test_set(self, chosen: QualitySet, task: Task) -> TestSet:
        """Of a prepared set."""
        return TestSet(**json.loads(self._told(chosen).read_text(encoding="utf-8"))["tasks"][str(task)])

    def is_prepared(self, chosen: QualitySet) -> bool:
        """Whether the set has been ingested."""
        return self._told(chosen).exists()

    def pairs(self, chosen: QualitySet) -> int:
        """Labelled pairs of a prepared set."""
        return int(json.loads(self._told(chosen).read_text(encoding="utf-8"))["pairs"])

    def forget(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _told(self, chosen: QualitySet) -> Path:
        return self.folder / "sets" / f"{chosen.name}.json"


def run_cell(
    book: CellBook, chosen: QualitySet, task: Task, system: QualitySystem, seed: int, *, with_cost: bool = True
) -> Cell:
    """Train, give class names where there are none, and score; in a copy of the set's platform, which is removed.

    The first run of a system finds nothing cached and tells its cost, where that is asked for. The others find the frozen
    encoders' vectors: a seed changes nothing in them, and they take most of the time.
    """
    experiment = system.experiment(task)
    assert experiment is not None
    cold = with_cost and not any(cell.cost for cell in book.read_all(chosen.name, task, system.name))
    work = book.folder / "runs" / f"{chosen.name}-{task}-{system.name}-{seed}"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(book.platform(chosen), work)
    arguments = (str(task), experiment[0], system.learns_from, *experiment[1:], f"seed={seed}")
    if not cold:
        drafts = shutil.ignore_patterns("*.draft")
        shutil.copytree(book.vectors, work / "cache" / "embeddings", dirs_exist_ok=True, ignore=drafts)
    if system.stands_on is not None:
        run_step("train", work, str(Task.TEXT), system.stands_on, UNLABELLED_NAME, f"seed={seed}")
    if cold:
        trained = run_step("train", work, *arguments)
        named: dict[str, Any] = trained if trained["named"] else run_step("name", work, trained["model"])
        scored = run_step("score", work, named["model"], COLD)
    else:
        trained, scored = run_step("all", work, *arguments).values()
    for cache in (work / EARLIER_CACHE, work / "cache"):
        if (cache / "embeddings").is_dir():
            shutil.copytree(cache / "embeddings", book.vectors, dirs_exist_ok=True, copy_function=_copy_whole)
    shutil.rmtree(work)
    found = [scored["predictions"].get(id_, (None, None)) for id_ in book.test_set(chosen, task).ids]
    cost = {
        "train_cpu_seconds": trained["cpu_seconds"],
        "score_cpu_seconds_1000": 1000 * scored["cpu_seconds"] / scored["pairs"],
        "peak_mib": trained["peak_mib"],
    }
    return Cell(
        set=chosen.name,
        task=str(task),
        system=system.name,
        seed=seed,
        labels=[label for label, _ in found],
        probabilities=[probability for _, probability in found],
        named_by_labels=not trained["named"],
        gate=None if trained["gate"] is None else float(trained["gate"]),
        cost=cost if cold else None,
    )


def _copy_whole(source: str, target: str) -> None:
    """Another run may be reading what lies there."""
    if not Path(target).exists():
        with write_atomically(Path(target)) as draft:
            shutil.copyfile(source, draft)


def _write_json(path: Path, tree: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as draft:
        draft.write_text(json.dumps(tree), encoding="utf-8")
