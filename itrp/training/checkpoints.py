"""A training run's folder: one sub-folder a round, complete as soon as it is visible."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from itrp.errors import DataError
from itrp.files import make_folder, place_folder

TUNED_FILE = "tuned.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"


def round_folder(folder: Path, number: int) -> Path:
    """Where round `number` (1-based) lies."""
    return folder / f"round-{number:04d}"


def save_round(
    folder: Path,
    number: int,
    tuned: Mapping[str, Tensor],
    optimizers: Mapping[str, Optimizer],
    state: Mapping[str, Any],
) -> Path:
    """Write a round under a temporary name and rename it; the optimizer's state of the round before goes."""
    draft = folder / f".draft-{number:04d}"
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tuned.items()}, draft / TUNED_FILE)
    save_file(_flatten_optimizers(optimizers), draft / OPTIMIZER_FILE)
    (draft / STATE_FILE).write_text(json.dumps(state, indent=1, sort_keys=True) + "\n")
    final = round_folder(folder, number)
    place_folder(draft, final)
    (round_folder(folder, number - 1) / OPTIMIZER_FILE).unlink(missing_ok=True)
    return final


def completed_rounds(folder: Path) -> int:
    """How many rounds, from the first on, lie in the folder."""
    number = 0
    while (round_folder(folder, number + 1) / STATE_FILE).exists():
        number += 1
    return number


def read_state(folder: Path, number: int) -> dict[str, Any]:
    """The JSON of a round. Raises DataError when there is none."""
    path = round_folder(folder, number) / STATE_FILE
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"expected round {number} of a training run in {folder}, found none ({error})") from None


def load_tuned(folder: Path, number: int) -> dict[str, Tensor]:
    """The tensors of a round that training had changed."""
    return load_file(round_folder(folder, number) / TUNED_FILE)


def restore_optimizers(folder: Path, number: int, optimizers: Mapping[str, Optimizer]) -> None:
    """Put the encoders' optimizer state of a round back. Raises DataError when it was not kept."""
    path = round_folder(folder, number) / OPTIMIZER_FILE
    if not path.exists():
        raise DataError(
            f"expected the optimizer's state in {path}, found none: only a run's last round can be resumed from"
        )
    tensors = load_file(path)
    for group, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, index, key = name.split("/")
            if owner == group:
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        _lay_like_parameters(optimizer)


def _lay_like_parameters(optimizer: Optimizer) -> None:
    """A file keeps values, not strides, and torch's fused Adam takes a parameter and its moments for laid out alike."""
    for parameter, state in optimizer.state.items():
        for key, tensor in state.items():
            if tensor.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


def _flatten_optimizers(optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    return {
        f"{group}/{index}/{key}": tensor.detach().cpu().contiguous()
        for group, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for key, tensor in state.items()
        if isinstance(tensor, Tensor)
    }
