"""Every sort of trained system, read back from the folder it was saved in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from itrp.baselines.supervised_model import SupervisedModel, restore_supervised_model
from itrp.labels import Task
from itrp.models.aligned_model import AlignedModel, load_aligned_model
from itrp.models.dual_aligned_model import DualAlignedModel, load_dual_aligned_model
from itrp.models.encoder_pair import read_description, read_mapping
from itrp.models.itrp_model import ItrpModel, load_model
from itrp.models.labelled_head import LabelledHeadModel, load_labelled_head_model

System: TypeAlias = ItrpModel | AlignedModel | DualAlignedModel | LabelledHeadModel | SupervisedModel
"""What can be registered, evaluated and scored with: an ITRp model (vanilla clustering is one), an aligned one, one of a dual
encoder's own vectors, a head that has learned from a few labels, or a supervised system."""


def load_system(folder: Path) -> tuple[System, tuple[int, ...] | None]:
    """A saved system, ready to predict, and its mapping cluster -> class (None when it has none yet).

    Raises DataError when the folder holds none.
    """
    description = read_description(folder)
    if is_supervised(description):
        return restore_supervised_model(folder, description), read_mapping(description)
    if is_labelled_head(description):
        return load_labelled_head_model(folder)
    if is_dual_aligned(description):
        return load_dual_aligned_model(folder)
    return load_aligned_model(folder) if is_aligned(description) else load_model(folder)


def is_supervised(description: Mapping[str, object]) -> bool:
    """Whether a model.json describes a supervised system."""
    return _has(description, "network")


def is_aligned(description: Mapping[str, object]) -> bool:
    """Whether a model.json describes an aligned model, a dual encoder's too."""
    return _has(description, "alignment")


def is_labelled_head(description: Mapping[str, object]) -> bool:
    """Whether a model.json describes a head that has learned from a few labels."""
    return _has(description, "head")


def is_dual_aligned(description: Mapping[str, object]) -> bool:
    """Whether it describes one that compares a dual encoder's own vectors."""
    return _has(description, "dual_encoder")


def _has(description: Mapping[str, object], branch: str) -> bool:
    config = description["config"]
    return isinstance(config, dict) and branch in config


def predicted_task(system: System) -> Task:
    """The task a system's probabilities are about; image-text for a model of four clusters."""
    return system.answers if isinstance(system, SupervisedModel | LabelledHeadModel) else system.config.task
