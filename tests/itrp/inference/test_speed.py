"""What is measured is a network's own speed, once a machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.inference import speed
from itrp.inference.runtimes import Runtime, exact_runtime, list_runtimes
from itrp.inference.speed import NetworkSpeed, list_encoders, measure_seconds
from itrp.models.itrp_model import ItrpModel, build_model

CPU = torch.device("cpu")
EXACT = exact_runtime(CPU)


@pytest.fixture
def model(make_config: Callable[..., ExperimentConfig]) -> ItrpModel:
    return build_model(make_config("small-text"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the networks that are measured; nothing has been so far."""
    monkeypatch.setattr(speed, "_measured", {})
    asked: list[str] = []

    def watch(encoder: torch.nn.Module, runtime: Runtime, examples: ShardFile) -> float:
        asked.append(f"{type(encoder).__name__} {runtime.name} {examples.pairs}")
        return measure_seconds(encoder, runtime, examples)  # type: ignore[arg-type]

    monkeypatch.setattr(speed, "measure_seconds", watch)
    return asked


def test_every_runtime_that_is_installed_is_measured_with_the_models_own_networks(
    model: ItrpModel, measured: list[str], tmp_path: Path
) -> None:
    found = {runtime.name: NetworkSpeed([model], tmp_path)(runtime) for runtime in list_runtimes()}
    assert measured == [f"{kind} {name} {speed.PAIRS}" for name in found for kind in ("TextEncoder", "ImageEncoder")]
    assert all(0 < seconds < 10 for seconds in found.values())
    assert len([*tmp_path.glob("speed-*.json")]) == 2 * len(found)


def test_a_network_is_measured_once_whatever_its_weights(
    model: ItrpModel, measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = NetworkSpeed([model], tmp_path)(EXACT)
    with torch.no_grad():
        next(model.image.parameters()).add_(1e-3)  # as training leaves it
    assert NetworkSpeed([model], tmp_path)(EXACT) == first
    assert NetworkSpeed([model], tmp_path / "another folder")(EXACT) == first
    monkeypatch.setattr(speed, "_measured", {})  # another process
    assert NetworkSpeed([model], tmp_path)(EXACT) == first
    assert len(measured) == 2
    for file in tmp_path.glob("speed-*.json"):
        file.write_text("half a lin")
    monkeypatch.setattr(speed, "_measured", {})
    NetworkSpeed([model], tmp_path)(EXACT)
    assert len(measured) == 4
    assert all(json.loads(file.read_text())["runtime"] == "cpu" for file in tmp_path.glob("speed-*.json"))


def test_own_pairs_are_taken_and_encoders_counted_once(
    model: ItrpModel, shards: list[ShardFile], measured: list[str], tmp_path: Path
) -> None:
    assert list_encoders([model, model]) == [model.text, model.image]
    NetworkSpeed([model, model], tmp_path, lambda: shards[0])(EXACT)
    assert measured == [f"{kind} cpu {min(shards[0].pairs, speed.PAIRS)}" for kind in ("TextEncoder", "ImageEncoder")]


def test_without_a_network_all_are_alike(tmp_path: Path) -> None:
    assert NetworkSpeed([], tmp_path)(EXACT) == NetworkSpeed([], tmp_path)(Runtime(CPU, "bf16"))
