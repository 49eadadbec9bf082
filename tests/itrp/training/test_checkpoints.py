import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from itrp.errors import DataError
from itrp.training.checkpoints import (
    completed_rounds,
    load_tuned,
    read_state,
    restore_optimizers,
    round_folder,
    save_round,
)


def make_layer() -> nn.Linear:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.copy_(torch.tensor([3.0]))
    return layer


def take_step(layer: nn.Linear, *optimizers: Optimizer) -> None:
    layer.zero_grad()
    layer(torch.tensor([[0.5, -1.0]])).pow(2).sum().backward()
    for optimizer in optimizers:
        optimizer.step()


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_round_is_tensors_and_json(tmp_path: Path) -> None:
    layer = make_layer()
    optimizer = Adam(layer.parameters(), lr=0.1)
    take_step(layer, optimizer)
    folder = save_round(tmp_path, 1, layer.state_dict(), {"text": optimizer}, {"b": [1, 2], "a": None})
    assert folder == round_folder(tmp_path, 1) == tmp_path / "round-0001"
    assert files_of(tmp_path) == [
        f"round-0001/{name}" for name in ("optimizer.safetensors", "state.json", "tuned.safetensors")
    ]
    assert read_state(tmp_path, 1) == {"a": None, "b": [1, 2]}
    tuned = load_tuned(tmp_path, 1)
    assert set(tuned) == {"weight", "bias"}
    assert torch.equal(tuned["weight"], layer.weight)
    state = load_file(folder / "optimizer.safetensors")
    # d/dw (0.5 * 1 - 1 * 2 + 3)^2 = 2 * 1.5 * (0.5, -1), of which Adam keeps a tenth
    torch.testing.assert_close(state["text/0/exp_avg"], torch.tensor([[0.15, -0.3]]))
    assert float(state["text/1/step"]) == 1


@pytest.mark.parametrize("settings", [{"kind": Adam}, {"kind": SGD}, {"kind": SGD, "momentum": 0.9}])
def test_a_restored_optimizer_goes_on_as_if_nothing_had_been(tmp_path: Path, settings: dict[str, Any]) -> None:
    kind = settings.pop("kind")
    layer, other = make_layer(), make_layer()
    optimizer = kind(layer.parameters(), lr=0.1, **settings)
    for _ in range(3):
        take_step(layer, optimizer)
    save_round(tmp_path, 1, layer.state_dict(), {"image": optimizer}, {})
    other.load_state_dict(load_tuned(tmp_path, 1))
    restored = kind(other.parameters(), lr=0.1, **settings)
    restore_optimizers(tmp_path, 1, {"image": restored})
    take_step(layer, optimizer)
    take_step(other, restored)
    assert torch.equal(other.weight, layer.weight)
    assert torch.equal(other.bias, layer.bias)
    settings["kind"] = kind


def test_two_optimizers_do_not_get_each_others_state(tmp_path: Path) -> None:
    layers = {"text": make_layer(), "image": make_layer()}
    optimizers = {name: Adam(layer.parameters(), lr=0.1) for name, layer in layers.items()}
    take_step(layers["text"], optimizers["text"])
    for _ in range(2):
        take_step(layers["image"], optimizers["image"])
    save_round(tmp_path, 1, {}, optimizers, {})
    restored = {name: Adam(make_layer().parameters(), lr=0.1) for name in layers}
    restore_optimizers(tmp_path, 1, restored)
    steps = {name: [float(s["step"]) for s in o.state_dict()["state"].values()] for name, o in restored.items()}
    assert steps == {"text": [1, 1], "image": [2, 2]}


def test_only_the_last_rounds_optimizer_state_is_kept(tmp_path: Path) -> None:
    layer = make_layer()
    optimizer = Adam(layer.parameters())
    for number in (1, 2, 3):
        take_step(layer, optimizer)
        save_round(tmp_path, number, layer.state_dict(), {"text": optimizer}, {"round": number})
    assert [name for name in files_of(tmp_path) if "optimizer" in name] == ["round-0003/optimizer.safetensors"]
    assert len(files_of(tmp_path)) == 7
    assert completed_rounds(tmp_path) == 3
    with pytest.raises(DataError, match="only a run's last round can be resumed from"):
        restore_optimizers(tmp_path, 2, {"text": optimizer})


def test_half_a_round_is_no_round(tmp_path: Path) -> None:
    assert completed_rounds(tmp_path) == 0
    layer = make_layer()
    save_round(tmp_path, 1, layer.state_dict(), {}, {"round": 1})
    draft = tmp_path / ".draft-0002"
    draft.mkdir()
    (draft / "state.json").write_text(json.dumps({"round": "of a killed run"}))
    (draft / "left over").write_bytes(b"half")
    assert completed_rounds(tmp_path) == 1
    save_round(tmp_path, 2, layer.state_dict(), {}, {"round": 2})
    assert completed_rounds(tmp_path) == 2
    assert read_state(tmp_path, 2) == {"round": 2}
    assert not draft.exists()
    assert not (round_folder(tmp_path, 2) / "left over").exists()


def test_a_round_that_cannot_be_written_is_not_seen(tmp_path: Path) -> None:
    layer = make_layer()
    save_round(tmp_path, 1, layer.state_dict(), {"text": Adam(layer.parameters())}, {})
    with pytest.raises(TypeError):
        save_round(tmp_path, 2, layer.state_dict(), {}, {"state": object()})
    assert completed_rounds(tmp_path) == 1
    assert (round_folder(tmp_path, 1) / "optimizer.safetensors").exists()  # so that the run can go on


def test_a_gap_ends_the_count(tmp_path: Path) -> None:
    for number in (1, 3):
        save_round(tmp_path, number, {}, {}, {})
    assert completed_rounds(tmp_path) == 1


def test_a_round_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected round 4 of a training run in {tmp_path}, found none"):
        read_state(tmp_path, 4)
    save_round(tmp_path, 1, {}, {}, {})
    (tmp_path / "round-0001" / "state.json").write_text("{")
    with pytest.raises(DataError, match=f"expected round 1 of a training run in {tmp_path}, found none"):
        read_state(tmp_path, 1)
