"""What is called flat of an alignment's memory, and that made-up features hold what a fit finds."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.alignment_growth import SIZES, Fitted, fit, judge, write_features
from tests.benchmarks.targets import ALIGNMENT_MEMORY, ALIGNMENT_TIME


def fits(peaks: tuple[float, ...], cpu: tuple[float, ...]) -> dict[int, Fitted]:
    return {
        size: Fitted(size, seconds, seconds, imported_mib=500, peak_mib=2 * peak, private_mib=peak, area=0.9)
        for size, peak, seconds in zip(SIZES, peaks, cpu, strict=True)
    }


def test_memory_is_flat_when_a_pair_adds_its_own_numbers_alone() -> None:
    # 64 MiB of noise and 100 bytes for each of 900,000 pairs are 149.8 MiB
    memory, time = judge(fits((700, 800, 949), (2, 10, 110)))
    assert (memory.what, memory.met) == (ALIGNMENT_MEMORY, True)
    assert memory.figures["private_bytes_a_pair"] == pytest.approx(149 * 2**20 / 900_000)
    assert "1,000,000: 1,898 MiB, of which private 949" in memory.measured
    assert not judge(fits((700, 800, 951), (2, 10, 110)))[0].met
    assert (time.what, time.met) == (ALIGNMENT_TIME, True)  # 100 and 110 microseconds a pair
    assert not judge(fits((700, 800, 949), (2, 10, 120)))[1].met


def test_other_sizes_are_told_and_not_judged() -> None:
    found = fits((700, 800, 949), (2, 10, 110))
    memory, time = judge({size: found[size] for size in SIZES[:2]})
    assert (memory.what, memory.met, time.met) == (f"{ALIGNMENT_MEMORY}: 10,000 and 100,000 pairs", None, None)


def test_an_alignment_is_found_in_made_up_features(tmp_path: Path) -> None:
    write_features(tmp_path, 600)
    texts, images = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("texts", "images"))
    assert (texts.shape, images.shape, texts.dtype, images.dtype) == ((600, 384), (600, 1280), np.float32, np.float32)
    assert images.min() == 0
    found = fit(tmp_path)
    assert found.pairs == 600
    assert found.area > 0.7
    assert found.peak_mib >= found.private_mib > 0
