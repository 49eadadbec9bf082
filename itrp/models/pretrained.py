"""Checkpoints as a user names them, transformers' and files of tensors: found, loaded whole or rejected, described."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from itrp.errors import WeightsUnavailableError


@contextmanager
def explain_loading(what: str, name: str, remedy: str) -> Iterator[None]:
    """Turn whatever loading raises into one line: what was looked for, where, and `remedy`, how to provide it.

    what: for example "dual encoder". Raises WeightsUnavailableError. transformers' loading reports are kept quiet.
    """
    transformers_logging.disable_progress_bar()
    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise WeightsUnavailableError(
            f"the {what} {name!r} was looked for as a local folder, in the Hugging Face cache and on the hub, "
            f"and could be loaded from none of them ({_first_line(error)}); {remedy}"
        ) from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Its warnings are not shown."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def find_checkpoint(name: str) -> str:
    """Where transformers shall load from: the folder of that name where there is one, else the hub id as it is."""
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def load_whole(
    auto_class: Any, name: str, dtype: torch.dtype, *, unneeded: tuple[str, ...] = (), **settings: Any
) -> PreTrainedModel:
    """The model of a checkpoint, in evaluation mode, all of its tensors from the file.

    transformers draws tensors that are missing or have another shape at random and goes on: here that is a
    WeightsUnavailableError, but for those whose names begin as one of `unneeded`. Code that comes with a checkpoint is
    never run.
    """
    model: PreTrainedModel
    model, loading = auto_class.from_pretrained(
        find_checkpoint(name),
        trust_remote_code=False,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # so that they are listed below by name
        **settings,
    )
    drawn = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    unfit = sorted(key for key in drawn if not key.startswith(unneeded))
    if unfit:
        raise WeightsUnavailableError(
            f"the weights of {name!r} lack {len(unfit)} tensors of {type(model).__name__} or have them in another shape, "
            f"{unfit[0]!r} first; give a folder as save_pretrained writes it"
        )
    model.eval()
    return model


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
            f"({type(error).__name__}; itrp never runs code in a pickle); save it with safetensors or torch.save(state_dict)"
        ) from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsUnavailableError(
            f"{setting}: expected a state dict in {path}, tensors by name, found something else; "
            "save the model's state_dict() and nothing around it"
        )
    return state


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> bytes:
    """The tokenizer's rules without its truncation and padding, which a call changes."""
    if not tokenizer.is_fast:
        return json.dumps(sorted(tokenizer.get_vocab().items())).encode()
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    return json.dumps({key: value for key, value in rules.items() if key not in ("truncation", "padding")}).encode()


def digest_model(model: nn.Module, *settings: bytes) -> str:
    """16 hex digits naming a model by its weights and by the settings that shape what goes into it."""
    digest = hashlib.sha256()
    for setting in settings:
        digest.update(hashlib.sha256(setting).digest())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
