"""`make bench-gpu` small and on the CPU: every row is measured, so that what a GPU will run has run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.models.encoder_pair import fingerprint
from tests.benchmarks.gpu import main, rows
from tests.benchmarks.gpu_inputs import choose_sizes, count_flops, draw_model, flops_of, name_variant
from tests.benchmarks.gpu_rates import measure_rates
from tests.benchmarks.record import FOLDER
from tests.benchmarks.targets import KMEANS_GPU, TARGETS

CPU = torch.device("cpu")


def test_every_row_that_needs_a_gpu_is_measured() -> None:
    found = list(rows(0.001, CPU))
    promised = {target.what for target in TARGETS if target.needs_gpu}
    assert {row.what.split(": cpu")[0] for row in found} >= promised
    for row in found:
        assert row.what.endswith("cpu, 100 pairs")
        assert row.met is None  # small sizes on a CPU prove no promise
        assert all(np.isfinite(value) and value >= 0 for value in row.figures.values())
    (kmeans,) = (row for row in found if row.what.startswith(KMEANS_GPU))
    assert kmeans.figures["agreement"] == 1.0


def test_the_command_prints_small_rows_and_keeps_none(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {path: path.read_bytes() for path in Path(FOLDER).glob("gpu.jsonl")}
    main(["--scale", "0.001", "--device", "cpu", "--only", "clustering", "--steps", "eager"])
    assert capsys.readouterr().out.count("| what | target | measured |") == 2
    assert {path: path.read_bytes() for path in Path(FOLDER).glob("gpu.jsonl")} == kept


def test_operations_are_counted_by_hand() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert count_flops(lambda: left @ right) == 2 * 3 * 5 * 7
    maps, kernel = torch.ones(2, 4, 8, 8), torch.ones(6, 4, 3, 3)
    assert count_flops(lambda: torch.nn.functional.conv2d(maps, kernel, padding=1)) == 2 * (2 * 8 * 8) * 6 * (4 * 3 * 3)


def test_the_papers_encoders_cost_what_they_cost() -> None:
    """BERT-base over 25 tokens: 12 layers of 4 d^2 + 8 d^2 a token, attention itself next to nothing. ResNet-101: 7.8 GMAC."""
    sizes = choose_sizes(1.0)
    assert (sizes.full, sizes.pairs, sizes.subset) == (True, 100_000, 5_000)
    text, image = flops_of(draw_model("text", sizes), sizes, CPU)
    assert text == pytest.approx(2 * 25 * 12 * 12 * 768**2, rel=0.02)
    assert image == pytest.approx(2 * 7.8e9, rel=0.02)


def test_both_tasks_share_their_untouched_encoders() -> None:
    sizes = choose_sizes(0.001)
    first, second, other = draw_model("text", sizes), draw_model("image", sizes), draw_model("image", sizes, seed=1)
    assert fingerprint(first.image) == fingerprint(second.image) != fingerprint(other.image)
    assert fingerprint(first.text) == fingerprint(second.text) != fingerprint(other.text)


def test_a_row_bears_its_targets_name_alone_only_on_the_targets_device() -> None:
    assert name_variant(KMEANS_GPU, choose_sizes(1.0), CPU) == f"{KMEANS_GPU}: cpu, 100000 pairs"
    assert name_variant(KMEANS_GPU, choose_sizes(0.001), CPU, "compiled") == f"{KMEANS_GPU}: compiled, cpu, 100 pairs"


def test_rates_are_rates() -> None:
    rates = measure_rates(CPU)
    assert min(rates.product, rates.double, rates.convolution, rates.bytes) > 1e7


@pytest.mark.e2e
def test_a_bare_machine_needs_no_part_of_the_stack() -> None:
    absent = ("prefect", "mlflow", "minio", "sqlalchemy", "boto3", "serving", "infra")
    code = f"import sys, tests.benchmarks.gpu; print([name for name in {absent} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]
    )
    assert run.stdout.strip() == "[]"
