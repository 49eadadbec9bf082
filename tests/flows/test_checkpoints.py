"""Checkpoints in the object store: what stays of a finished run, and what a resumed one brings to a machine that has none."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from flows.jobs.training import _prepare_folder
from infra.errors import StoreError
from infra.object_store import ObjectStore, open_store
from itrp.labels import Task
from itrp.training.checkpoints import completed_rounds, round_folder, save_round
from serving.assessment import CHECKPOINTS_TAG
from tests.flows.failing_store import FailingStore

if TYPE_CHECKING:
    from flows.platform import Platform

PREFIX = "checkpoints/small-text-1/"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """Holds two rounds as another machine has uploaded them."""
    store = open_store((tmp_path / "objects").as_uri())
    for number in (1, 2):
        folder = save_round(tmp_path / "elsewhere", number, {"weight": torch.ones(3)}, {}, {"round": number})
        for path in folder.iterdir():
            store.put(f"{PREFIX}{folder.name}/{path.name}", path)
    return store


def test_nothing_half_brought_is_resumed_from(store: ObjectStore, tmp_path: Path) -> None:
    here = tmp_path / "training" / "run"
    failing = FailingStore(store, "round-0002/tuned.safetensors")
    with pytest.raises(StoreError, match="the disk is away"):
        _prepare_folder(failing, PREFIX, here, resume=True)  # type: ignore[arg-type]
    assert not here.exists()
    _prepare_folder(store, PREFIX, here, resume=True)
    assert completed_rounds(here) == 2
    assert {path.name for path in round_folder(here, 2).iterdir()} == {
        path.name for path in round_folder(tmp_path / "elsewhere", 2).iterdir()
    }
    assert [path.name for path in here.parent.iterdir()] == ["run"]


def test_what_lies_here_is_taken_before_what_lies_there(store: ObjectStore, tmp_path: Path) -> None:
    here = tmp_path / "training" / "run"
    save_round(here, 1, {"weight": torch.zeros(3)}, {}, {"round": 1})
    _prepare_folder(store, PREFIX, here, resume=True)
    assert completed_rounds(here) == 1
    _prepare_folder(store, PREFIX, here, resume=False)
    assert not here.exists()


def test_a_finished_run_leaves_its_rounds_weights_and_no_optimizer(trained: "Platform") -> None:
    for task in (Task.TEXT, Task.IMAGE):
        prefix = trained.registry.versions(task)[-1].tags[CHECKPOINTS_TAG]
        kept = [info.key.removeprefix(prefix) for info in trained.store.list(prefix)]
        assert kept == [
            f"round-000{number}/{name}" for number in (1, 2) for name in ("state.json", "tuned.safetensors")
        ]


def test_without_checkpoints_there_is_no_folder(store: ObjectStore, tmp_path: Path) -> None:
    _prepare_folder(store, "checkpoints/another-run/", tmp_path / "training" / "run", resume=True)
    assert not (tmp_path / "training").exists()
