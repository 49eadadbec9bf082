"""A supervised system as it is trained, saved, loaded and asked: a network and its configuration."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from itrp.baselines.config import NetworkConfig, SupervisedConfig
from itrp.baselines.network import Inputs, Network
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.device import autocast
from itrp.models.encoder_pair import MODEL_FILE, WEIGHTS_FILE, put_back

NETWORK_FOLDER = "network"
MODULES = {
    "two-encoders": ("itrp.baselines.two_encoders", "two_encoders"),
    "lstm-inception": ("itrp.baselines.lstm_inception", "lstm_inception"),
    "clip": ("itrp.baselines.clip", "clip"),
    "cma-clip": ("itrp.baselines.cma_clip", "cma_clip"),
    "lxmert": ("itrp.baselines.lxmert", "lxmert"),
}
"""Module of each kind, and the NAME in its functions `load_NAME(config, tasks)` and `build_NAME(config, tasks, folder)`."""


class SupervisedModel(nn.Module):
    """A network, and which of its tasks is asked for (a multi-task network is registered once for each)."""

    def __init__(self, config: SupervisedConfig, network: Network, answers: Task | None = None) -> None:
        super().__init__()
        self.config = config
        self.network = network
        self.answers = answers or network.tasks[0]

    @torch.inference_mode()
    def predict(
        self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device
    ) -> dict[Task, NDArray[np.float32]]:
        """Class probabilities [m, 2] of the chosen rows by task, in evaluation mode."""
        self.eval()
        parts: dict[Task, list[NDArray[np.float32]]] = {task: [] for task in self.network.tasks}
        size = self.config.embed_batch_size
        for start in range(0, len(rows), size):
            with autocast(device):
                logits = self.network(self.network.collate(inputs, rows[start : start + size], device))
            for task, values in logits.items():
                parts[task].append(torch.softmax(values.float(), dim=1).cpu().numpy())
        return {task: np.concatenate(values) for task, values in parts.items()}

    def predict_shard(self, shard: ShardFile, cache: EmbeddingCache) -> NDArray[np.float32]:
        """Class probabilities [n, 2] of a shard's pairs for the task that is asked for, in stored order."""
        inputs = self.network.read([shard], cache)
        return self.predict(inputs, np.arange(shard.pairs), cache.device)[self.answers]

    def save(self, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None = None) -> None:
        """Write everything `load_supervised_model` needs into a folder that must not exist yet."""
        folder.mkdir(parents=True)
        # contiguous copies: a network may share one tensor under two names, which the format rejects
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / WEIGHTS_FILE)
        (folder / NETWORK_FOLDER).mkdir()
        self.network.save(folder / NETWORK_FOLDER)
        description = {
            "config": self.config.model_dump(mode="json"),
            "answers": str(self.answers),
            "mapping": list(mapping) if mapping is not None else None,
            **(extra or {}),
        }
        (folder / MODEL_FILE).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")


def build_supervised_model(config: SupervisedConfig) -> SupervisedModel:
    """A model with pretrained parts and fresh heads, the same for the same seed. Raises WeightsUnavailableError."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # the CPU's alone, where weights are drawn
        return SupervisedModel(config, load_network(config.network, config.tasks))


def restore_supervised_model(folder: Path, description: dict[str, object]) -> SupervisedModel:
    """The model a folder holds, ready to predict; `description` is its model.json. Raises DataError."""
    config = SupervisedConfig.model_validate(description["config"])
    network = build_network(config.network, config.tasks, folder / NETWORK_FOLDER)
    model = SupervisedModel(config, network, Task(str(description["answers"])))
    state = load_file(folder / WEIGHTS_FILE)
    if set(state) != set(model.state_dict()):
        raise DataError(f"expected in {folder / WEIGHTS_FILE} the tensors that {MODEL_FILE} describes, found others")
    put_back(model, state)
    return model.eval()


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
