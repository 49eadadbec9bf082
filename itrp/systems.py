"""Every sort of trained system, read back from the folder it was saved in."""

from pathlib import Path
from typing import TypeAlias

from itrp.baselines.supervised_model import SupervisedModel, restore_supervised_model
from itrp.labels import Task
from itrp.models.encoder_pair import read_description
from itrp.models.itrp_model import ItrpModel, load_model

System: TypeAlias = ItrpModel | SupervisedModel
"""What can be registered, evaluated and scored with: an ITRp model (vanilla clustering is one) or a supervised system."""


def load_system(folder: Path) -> tuple[System, tuple[int, ...] | None]:
    """A saved system, ready to predict, and its mapping cluster -> class (None when it has none yet).

    Raises DataError when the folder holds none.
    """
    description = read_description(folder)
    if not is_supervised(description):
        return load_model(folder)
    mapping = description["mapping"]
    return restore_supervised_model(folder, description), tuple(mapping) if isinstance(mapping, list) else None


def is_supervised(description: dict[str, object]) -> bool:
    """Whether a model.json describes a supervised system."""
    config = description["config"]
    return isinstance(config, dict) and "network" in config


def predicted_task(system: System) -> Task:
    """The task a system's probabilities are about; image-text for a model of four clusters."""
    return system.answers if isinstance(system, SupervisedModel) else system.config.task
