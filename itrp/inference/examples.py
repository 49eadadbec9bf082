"""Pairs that runtimes are tried on, and what is true of one machine alone."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import torch

from itrp.data.inputs import ShardFile
from itrp.data.shard_part import keep_rows
from itrp.data.shards import encode_shard, shard_hash
from itrp.inference.made_up_pairs import make_up_pairs
from itrp.inference.runtimes import Runtime

FEWEST = 20
"""Of the model's own pairs. With fewer a single other label is one too many, which errs towards fp32; made-up pairs lie far from
the boundary between clusters that real ones crowd, so that they take no more than the place of nothing."""
FindExamples: TypeAlias = Callable[[], ShardFile | None]
"""Finds a shard of the data that models were trained on; None where that is not here."""
SEED = 0


def choose_examples(tokenizer: Any, find_examples: FindExamples | None, folder: Path, count: int) -> ShardFile:
    """At most so many of the model's own pairs; where there are fewer than FEWEST of them, made-up ones."""
    own = find_examples() if find_examples is not None else None
    if own is not None and own.pairs >= FEWEST:
        return keep_rows(own, 0, min(own.pairs, count), folder)
    data = encode_shard(make_up_pairs(tokenizer, count, SEED))
    path = folder / "examples.parquet"
    path.write_bytes(data)
    return ShardFile(shard_hash(data), path, count)


def describe_machine(runtime: Runtime) -> list[str]:
    """What computes: processor or GPU, and the libraries' versions."""
    if runtime.device.type == "cuda":
        return [torch.cuda.get_device_name(runtime.device), torch.__version__]
    libraries = [version("openvino")] if runtime.library == "openvino" else [torch.__version__]
    libraries += [version("nncf")] if runtime.precision == "int8" else []
    return [platform.machine(), str(torch.cpu.get_capabilities().get("cpu_name", "")), *libraries]
