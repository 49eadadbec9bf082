"""The benchmark of runtimes, on a few tweets."""

from pathlib import Path

from itrp.inference.runtimes import list_runtimes
from tests.benchmarks.runtimes import build, draw_shard, measure


def test_every_runtime_is_measured_and_one_is_chosen(tmp_path: Path) -> None:
    row = measure("small-image", build("small-image"), draw_shard(tmp_path, 4), repeats=1)
    names = [runtime.name for runtime in list_runtimes()]
    assert all(row.figures[name] > 0 for name in names)
    assert any(row.measured.endswith(f"; auto takes {name}") for name in names)
