"""ITRP_COMPILED: training steps by torch.compile, here on the CPU.

Steps are captured and differentiated as a GPU's are, but not turned into machine code, which takes minutes
(tests/itrp/training/test_training_set.py does that once).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.settings import Settings

if TYPE_CHECKING:
    from flows.platform import Platform

QUICKLY = ["subset_size=30", "image.size=64", "batch_size=16", "seed=7"]


def test_a_setting_compiles_the_steps_and_the_run_tells(
    fork: "Callable[[Path], Platform]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from flows.jobs.training import run_training
    from flows.platform import open_platform

    fork(tmp_path)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    captured = torch._dynamo.utils.counters["frames"]
    captured.clear()
    runs = []
    for compiled in (False, True):
        platform = open_platform(Settings(work_dir=tmp_path, device="cpu", compiled=compiled))
        report = run_training(platform, "small-text", "unlabelled", QUICKLY)
        assert (captured["ok"] > 0) is compiled
        runs.append(platform.registry.client.get_run(report.run_id).data)
    eager, graphed = runs
    assert "itrp.compiled" not in eager.tags
    assert graphed.tags["itrp.compiled"] == "true"
    assert graphed.metrics["pairs"] == eager.metrics["pairs"]
    # dropout is drawn differently in a captured graph
    assert graphed.metrics["loss"] == pytest.approx(eager.metrics["loss"], abs=0.2)
