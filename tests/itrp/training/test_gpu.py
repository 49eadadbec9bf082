"""Training on a GPU: what the CPU cannot tell. Nothing here runs without one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.itrp_model import build_model
from itrp.training.device_cache import DeviceRows, DeviceTokens
from itrp.training.trainer import RoundResult, Trainer
from itrp.training.training_set import prepare_training_set

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
EXPERIMENTS = ("small-text", "small-image")


def make_trainer(
    config: ExperimentConfig, shards: list[ShardFile], folder: Path, device: str, *, compiled: bool = False
) -> Trainer:
    cache = EmbeddingCache(folder / "cache", torch.device(device), 16)
    return Trainer(build_model(config), shards, cache=cache, checkpoints=folder / "rounds", compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_gpu_learns_what_the_cpu_learns(
    make_config: Callable[..., ExperimentConfig],
    shards: list[ShardFile],
    tmp_path: Path,
    experiment: str,
    compiled: bool,
) -> None:
    """bf16 products differ in the third digit, so one round is compared, and loosely."""
    config = make_config(experiment, "subset_size=60", "text.optimizer.learning_rate=1e-5")
    (cpu,) = make_trainer(config, shards, tmp_path / "cpu", "cpu").run()
    trainer = make_trainer(config, shards, tmp_path / "gpu", "cuda", compiled=compiled)
    (gpu,) = trainer.run()
    assert np.abs(np.subtract(gpu.cluster_sizes, cpu.cluster_sizes)).max() <= 3
    assert gpu.loss == pytest.approx(cpu.loss, abs=0.1)
    assert all(torch.isfinite(tensor).all() for tensor in trainer.model.state_dict().values())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_run_that_was_cut_off_goes_on(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path, experiment: str
) -> None:
    """With the state of the fused optimizers, whose step counts lie on the GPU."""
    config = make_config(experiment)
    first = make_trainer(config, shards, tmp_path, "cuda").run()
    kept = [next(first), next(first)]
    trainer = make_trainer(config, shards, tmp_path, "cuda")
    results: list[RoundResult] = list(trainer.run(resume=True))
    assert [result.loss for result in results[:2]] == [result.loss for result in kept]
    assert len(results) == trainer.rounds
    (optimizer,) = trainer.optimizers.values()
    steps = {float(state["step"]) for state in optimizer.state.values()}
    assert len(steps) == 1
    assert steps.pop() > len(results)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_pairs_lie_on_the_gpu(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path, experiment: str
) -> None:
    model = build_model(make_config(experiment)).cuda()
    data = prepare_training_set(model, shards, EmbeddingCache(tmp_path, torch.device("cuda"), 16))
    held = [each for each in (data.tokens, data.text_vectors, data.pixels, data.image_vectors) if each is not None]
    assert len(held) == 2
    for each in held:
        assert isinstance(each, DeviceRows | DeviceTokens)
        assert (each.values if isinstance(each, DeviceRows) else each.numbers).is_cuda
