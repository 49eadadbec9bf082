"""What decides a saved model's predictions, under one name: its tensors, its configuration, its tokenizer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from itrp.alignment.config import AlignedConfig
from itrp.baselines.supervised_model import NETWORK_FOLDER
from itrp.config import ExperimentConfig, FrozenConfig
from itrp.models.dual_encoder import ENCODER_FOLDER
from itrp.models.encoder_pair import TEXT_FOLDER, WEIGHTS_FILE, read_description
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.itrp_model import ItrpModel
from itrp.models.pretrained import describe_tokenizer
from itrp.systems import is_aligned, is_dual_aligned, is_labelled_head, is_supervised

INCIDENTAL = ("transformers_version", "dtype", "torch_dtype", "architectures", "name_or_path")
"""What transformers writes into an architecture and no vector depends on; its names with an underscore too."""


@dataclass(frozen=True)
class Weights:
    """Tensors by the hash of what they hold, and the hash of all settings: equal ones predict equally on one runtime."""

    settings: str
    tensors: Mapping[str, str]

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits."""
        return _digest([self.settings, sorted(self.tensors.items())])

    def tuned(self, checkpoint: Path) -> "Weights":
        """With the tensors that a checkpoint of a round holds in the place of these."""
        return Weights(self.settings, {**self.tensors, **_hash_file(checkpoint)})

    def encode(self) -> str:
        """As JSON, which `decode_weights` reads."""
        return json.dumps(asdict(self)) + "\n"


def decode_weights(text: str) -> Weights:
    """What `Weights.encode` wrote."""
    return Weights(**json.loads(text))


def read_weights(folder: Path) -> Weights:
    """Of a saved system. A file is hashed once in a process. Raises DataError when the folder holds none.

    What was taught both tasks is saved once for each with the same tensors: which task is asked is a setting.
    """
    description = read_description(folder)
    if is_supervised(description):
        settings = [description["config"], description["answers"], _hash_files(folder / NETWORK_FOLDER)]
        return Weights(_digest(settings), _hash_file(folder / WEIGHTS_FILE))
    if is_dual_aligned(description):
        settings = [description["config"], _hash_files(folder / ENCODER_FOLDER)]
        return Weights(_digest(settings), _hash_file(folder / WEIGHTS_FILE))
    tokenizer = AutoTokenizer.from_pretrained(folder / TEXT_FOLDER, local_files_only=True, trust_remote_code=False)
    architecture = AutoConfig.from_pretrained(folder / TEXT_FOLDER, local_files_only=True, trust_remote_code=False)
    settings_of = partial(_describe, tokenizer=tokenizer, architecture=architecture)
    if is_labelled_head(description):
        shape = settings_of(LabelledHeadConfig.model_validate(description["config"]))
        return Weights(_digest([shape, description["answers"]]), _hash_file(folder / WEIGHTS_FILE))
    kind = AlignedConfig if is_aligned(description) else ExperimentConfig
    return Weights(settings_of(kind.model_validate(description["config"])), _hash_file(folder / WEIGHTS_FILE))


def weights_of(model: ItrpModel) -> Weights:
    """Of a model in memory: those it would have where it is saved."""
    settings = _describe(model.config, model.text.tokenizer, model.text.transformer.config)
    return Weights(settings, {name: _hash_tensor(tensor) for name, tensor in model.state_dict().items()})


def _describe(config: FrozenConfig, tokenizer: PreTrainedTokenizerBase, architecture: PretrainedConfig) -> str:
    shape = {
        name: value
        for name, value in architecture.to_dict().items()
        if not name.startswith("_") and name not in INCIDENTAL
    }
    return _digest([config.model_dump(mode="json"), sha256(describe_tokenizer(tokenizer)).hexdigest(), shape])


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _hash_file(path: Path) -> Mapping[str, str]:
    """Hash of each tensor in a safetensors file, by name."""
    stat = path.stat()
    return _hash_tensors(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_tensors(path: Path, size: int, changed: int) -> Mapping[str, str]:
    """size, changed: a file that was written anew is another one."""
    with safe_open(path, framework="pt") as file:
        return {name: _hash_tensor(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # no mapping


def _hash_tensor(tensor: Tensor) -> str:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode() + sha256(data.data).digest()).hexdigest()[:32]


def _hash_files(folder: Path) -> list[tuple[str, str]]:
    """(path, hash) of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), sha256(path.read_bytes()).hexdigest()) for path in files]
