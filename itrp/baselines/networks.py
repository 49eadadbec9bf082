"""Every supervised network by the kind its configuration names: with pretrained parts, or rebuilt from a saved folder."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from itrp.baselines.config import NetworkConfig
from itrp.baselines.network import Network
from itrp.labels import Task

MODULES = {
    "two-encoders": ("itrp.baselines.two_encoders", "two_encoders"),
    "lstm-inception": ("itrp.baselines.lstm_inception", "lstm_inception"),
    "clip": ("itrp.baselines.clip", "clip"),
    "cma-clip": ("itrp.baselines.cma_clip", "cma_clip"),
    "lxmert": ("itrp.baselines.lxmert", "lxmert"),
}
"""Module of each kind, and the NAME in its functions `load_NAME(config, tasks)` and `build_NAME(config, tasks, folder)`."""


def load_network(config: NetworkConfig, tasks: Sequence[Task]) -> Network:
    """The configured network with pretrained parts and heads drawn from torch's generator. Raises WeightsUnavailableError."""
    module, name = MODULES[config.kind]
    network: Network = getattr(importlib.import_module(module), f"load_{name}")(config, tasks)
    return network


def build_network(config: NetworkConfig, tasks: Sequence[Task], folder: Path) -> Network:
    """The network that `Network.save` described in a folder, with weights still to be loaded."""
    module, name = MODULES[config.kind]
    network: Network = getattr(importlib.import_module(module), f"build_{name}")(config, tasks, folder)
    return network
