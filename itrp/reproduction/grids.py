"""The paper's tables and its Figure 4 as lists of cells: which runs a figure comes from, and what was published."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from itrp.baselines.config import SupervisedConfig, ZeroShotConfig
from itrp.config import ExperimentConfig, override
from itrp.experiments import AnyConfig, Preset, find_experiment
from itrp.labels import Task
from itrp.reproduction.published import FIGURE4, TABLE3, TABLE4, TABLE5

GRID_SETTINGS: dict[tuple[str, type[BaseModel]], tuple[str, ...]] = {
    ("small", ExperimentConfig): ("pairs=400", "subset_size=200", "image.size=96"),
    ("small", SupervisedConfig): ("pairs=400",),
}
"""What all runs of a preset's grid change, by the sort of experiment: some sixty runs on two cores within twenty minutes."""


@dataclass(frozen=True)
class RunSpec:
    """One experiment with settings changed; the seed is given when it is run."""

    experiment: str
    overrides: tuple[str, ...] = ()

    def config(self, seed: int, *, in_grid: bool = True) -> AnyConfig:
        """The configuration of a seed; in a grid, with the settings that a preset's runs have in common."""
        plain = find_experiment(self.experiment)
        common = GRID_SETTINGS.get((self.experiment.split("-")[0], type(plain)), ()) if in_grid else ()
        return override(plain, [*common, *self.overrides, f"seed={seed}"])

    @property
    def is_seedless(self) -> bool:
        """Whether every seed gives the same predictions."""
        return isinstance(find_experiment(self.experiment), ZeroShotConfig)


@dataclass(frozen=True)
class SystemSpec:
    """Where a system's predictions about each task come from: runs of one model a task, or one run for all."""

    text: RunSpec
    image: RunSpec

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The different runs."""
        return (self.text,) if self.text == self.image else (self.text, self.image)


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    table: str
    row: str
    task: Task
    set: str
    system: SystemSpec
    published: float | None
    """Weighted F1 in per cent."""


@dataclass(frozen=True)
class UserModels:
    """What only the user has, or wants in place of the defaults: hub ids, folders or files."""

    joint: str | None = None
    """A dual encoder, for the similarity baseline."""
    vlm: str | None = None
    """A vision-language model."""
    words: str | None = None
    """Word vectors for the LSTM."""
    regions: str | None = None
    """Region features for LXMERT."""


TABLES = ("table3", "table4", "table5", "figure4")
TITLES = {
    "table3": "Table 3: clustering alone and ITRp",
    "table4": "Table 4: which encoder is fine-tuned (text encoder / image encoder)",
    "table5": "Table 5: sampling",
    "figure4": "Figure 4: all systems on the three test sets",
}
SETS = ("raw", "RM", "RL")
_TASKS = (Task.TEXT, Task.IMAGE, Task.IMAGE_TEXT)


def itrp_system(preset: Preset, method: str = "") -> SystemSpec:
    """ITRp's two task models; `method`: gmm or random in place of k-means."""
    middle = f"-{method}" if method else ""
    return SystemSpec(RunSpec(f"{preset}{middle}-text"), RunSpec(f"{preset}{middle}-image"))


def vanilla_system(preset: Preset, method: str) -> SystemSpec:
    """One clustering into the four relations."""
    spec = RunSpec(f"{preset}-vanilla-{method}")
    return SystemSpec(spec, spec)


def supervised_system(preset: Preset, name: str, overrides: tuple[str, ...] = ()) -> SystemSpec:
    """A supervised system; the public code's settings for these are the paper's."""
    preset = "small" if preset == "small" else "paper"
    if name == "cma-clip":
        return SystemSpec(RunSpec(f"{preset}-{name}"), RunSpec(f"{preset}-{name}"))
    return SystemSpec(*(RunSpec(f"{preset}-{name}-{task}", overrides) for task in ("text", "image")))


def list_systems(preset: Preset, models: UserModels = UserModels()) -> dict[str, SystemSpec]:
    """The systems that are trained, by the name the paper gives them."""
    return {
        "random pseudo-labels": itrp_system(preset, "random"),
        "GMM": vanilla_system(preset, "gmm"),
        "k-means": vanilla_system(preset, "kmeans"),
        "ITRp (GMM)": itrp_system(preset, "gmm"),
        "ITRp (k-means)": itrp_system(preset),
        "LSTM+InceptionNet": supervised_system(preset, "lstm-inception", _assign("network.words", models.words)),
        "RoBERTa+EfficientNet": supervised_system(preset, "roberta-efficientnet"),
        "BERT+ResNet": supervised_system(preset, "bert-resnet"),
        "LXMERT": supervised_system(preset, "lxmert", _assign("network.regions", models.regions)),
        "CLIP": supervised_system(preset, "clip"),
        "CMA-CLIP": supervised_system(preset, "cma-clip"),
    }


def zero_shot_systems(preset: Preset, models: UserModels = UserModels()) -> dict[str, SystemSpec]:
    """What a person would pick instead today, by name."""
    preset = "small" if preset == "small" else "paper"
    specs = {
        "CLIP similarity, zero-shot": RunSpec(f"{preset}-zero-shot-similarity", _assign("model", models.joint)),
        "vision-language model, zero-shot": RunSpec(f"{preset}-zero-shot-vlm", _assign("model", models.vlm)),
    }
    return {name: SystemSpec(spec, spec) for name, spec in specs.items()}


def _assign(key: str, value: str | None) -> tuple[str, ...]:
    return () if value is None else (f"{key}={value}",)


def list_cells(table: str, preset: Preset, models: UserModels = UserModels()) -> list[Cell]:
    """The cells of `table3`, `table4`, `table5` or `figure4`, row by row."""
    if table == "figure4":
        return list(_figure4({**list_systems(preset, models), **zero_shot_systems(preset, models)}))
    return list({"table3": _table3, "table4": _table4, "table5": _table5}[table](preset))


def _table3(preset: Preset) -> Iterable[Cell]:
    systems = list_systems(preset)
    for row, figures in TABLE3.items():
        for task in _TASKS:
            yield Cell("table3", row, task, "RL", systems[row], figures[task])


def _table4(preset: Preset) -> Iterable[Cell]:
    for row, figures in TABLE4.items():
        text, image = (part == "fine-tuned" for part in row.split(" / "))
        overrides = (f"text.finetune={str(text).lower()}", f"image.finetune={str(image).lower()}")
        yield from _vary("table4", preset, row, overrides, figures)


def _table5(preset: Preset) -> Iterable[Cell]:
    for row, figures in TABLE5.items():
        yield from _vary("table5", preset, row, (f"sampling={row}",), figures)


def _vary(table: str, preset: Preset, row: str, overrides: Sequence[str], figures: dict[Task, float]) -> Iterable[Cell]:
    """Both tasks' ITRp models with settings changed; one that changes nothing is the same run as Table 3's."""
    system = SystemSpec(*(_simplify(RunSpec(f"{preset}-{task}", tuple(overrides))) for task in ("text", "image")))
    for task, published in figures.items():
        yield Cell(table, row, task, "RL", system, published)


def _simplify(spec: RunSpec) -> RunSpec:
    """Without the assignments that are the experiment's own settings anyway."""
    plain = RunSpec(spec.experiment)
    kept = tuple(each for each in spec.overrides if RunSpec(spec.experiment, (each,)).config(0) != plain.config(0))
    return RunSpec(spec.experiment, kept)


def _figure4(systems: Mapping[str, SystemSpec]) -> Iterable[Cell]:
    for row, system in systems.items():
        for set_name in SETS:
            for task in _TASKS:
                yield Cell("figure4", row, task, set_name, system, FIGURE4.get((row, set_name), {}).get(task))
