"""State dicts from files that come from outside: tensors are read, code is never run."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from itrp.errors import WeightsUnavailableError


def read_state_dict(path: Path, setting: str) -> Mapping[str, Tensor]:
    """Tensors by name from a .safetensors file, or a pickle of nothing but tensors (`weights_only=True`).

    setting: the name of the setting that gave the path. Raises WeightsUnavailableError for anything else.
    """
    try:
        is_safetensors = path.suffix == ".safetensors"
        state = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, EOFError, OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"{setting}: expected a state dict of tensors in {path}, and it cannot be read as one "
            f"({type(error).__name__}; code in a pickle is never run); save it with safetensors or torch.save(state_dict)"
        ) from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsUnavailableError(
            f"{setting}: expected a state dict in {path}, tensors by name, found something else; "
            "save the model's state_dict() and nothing around it"
        )
    return state
