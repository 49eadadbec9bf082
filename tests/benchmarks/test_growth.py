"""What is called growth, in time and in memory, and that pairs made in bulk are pairs."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from itrp.data.images import load_pixels
from itrp.pixel_format import PixelFormat
from tests.benchmarks import growth, memory
from tests.benchmarks.landing import make_pairs
from tests.benchmarks.scaled_run import Scaled, Stage, ingest
from tests.benchmarks.targets import GROWTH_SCORING, MEMORY_SCORING, MEMORY_TRAINING

CHECKOUT = Path(__file__).parents[2]


def runs(seconds_a_pair: Mapping[int, list[float]]) -> dict[int, list[Scaled]]:
    return {
        size: [Scaled(size, {"score": Stage(wall=2 * each * size, cpu=each * size)}) for each in every]
        for size, every in seconds_a_pair.items()
    }


def test_time_a_pair_within_15_percent_is_no_growth() -> None:
    row = growth._judge("score", runs({1_000: [0.9, 0.001], 10_000: [0.00108], 100_000: [0.00114, 0.5]}))
    assert (row.what, row.met) == (GROWTH_SCORING, True)
    assert "100,000: 1.140 ms CPU, 2.280 ms" in row.measured
    assert "within 14 % by CPU time" in row.measured
    assert not growth._judge("score", runs({1_000: [0.001], 10_000: [0.001], 100_000: [0.00116]})).met


def test_other_sizes_are_told_and_not_judged() -> None:
    row = growth._judge("score", runs({10: [0.001], 20: [0.001]}))
    assert (row.what, row.met) == (f"{GROWTH_SCORING}: sizes 10, 20", None)


def test_memory_is_extrapolated_to_what_the_target_speaks_of() -> None:
    few, many = Stage(peak_rss=1_000, peak_private=700), Stage(peak_rss=1_045, peak_private=745)
    row = memory._judge("score", {30_000: few, 100_000: many})
    assert row.what == MEMORY_SCORING
    assert row.figures["resident_bytes_a_pair"] == pytest.approx(45 * 2**20 / 70_000)
    assert "extrapolated to 1,000,000: 1,624 MiB" in row.measured  # 45 MiB for every 70,000 pairs
    assert row.met


def test_memory_that_grows_is_told() -> None:
    few, many = Stage(peak_rss=1_000, peak_private=700), Stage(peak_rss=2_900, peak_private=2_600)
    row = memory._judge("train-image", {30_000: few, 100_000: many})
    assert (row.what, row.met) == (f"{MEMORY_TRAINING}: image task", False)
    mapped = Stage(peak_rss=1_200, peak_private=700)  # pages of files: resident all the same
    assert not memory._judge("train-text", {30_000: few, 100_000: mapped}).met
    assert memory._judge("train-text", {1: few, 2: few}).what == f"{MEMORY_TRAINING}: text task, 1 and 2 pairs"


def test_pairs_made_in_bulk_are_all_different_and_have_pictures() -> None:
    pairs = list(make_pairs(450, first=7))
    assert len({pair.image_sha256 for pair in pairs}) == len({pair.id for pair in pairs}) == 450
    assert load_pixels(pairs[0].image, PixelFormat(32)).std() > 10


def test_every_pair_made_in_bulk_is_ingested(tmp_path: Path) -> None:
    stages = ingest(tmp_path, 30)  # refuses where one is lost
    assert set(stages) == {"ingest", "ingest nothing"}
    assert stages["ingest"].cpu > stages["ingest nothing"].cpu > 0


HOLD = """
import time
from tests.benchmarks.scaled_run import measured, read_status
stages = {}
before = read_status("RssAnon")
with measured(stages, "hold"):
    held = bytearray(b"x") * (100 * 2**20)
    time.sleep(1)  # the watcher looks every 50 ms
print(stages["hold"].peak_private - before, stages["hold"].peak_rss - stages["hold"].peak_private)
"""


def test_private_memory_of_a_stage_is_seen() -> None:
    # in a process of its own: of a long one the kernel takes idle pages back meanwhile
    done = subprocess.run([sys.executable, "-c", HOLD], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    grown, mapped = map(float, done.stdout.split())
    assert 90 < grown < 150
    assert mapped >= 0
