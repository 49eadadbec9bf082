"""The percentile bootstrap of any statistic."""

import numpy as np
import pytest

from itrp.evaluation.bootstrap import resampled_interval


def test_the_interval_of_a_mean() -> None:
    """Of n draws the mean has the deviation s / sqrt(n): the interval reaches 1.96 of them to either side."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = resampled_interval(lambda rows: values[rows].mean(), 400, seed=1, resamples=4000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    narrow = resampled_interval(lambda rows: values[rows].mean(), 400, seed=1, resamples=4000, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_equal_seeds_equal_ends() -> None:
    ends = [resampled_interval(lambda rows: float(rows.mean()), 9, seed=seed, resamples=50) for seed in (3, 3, 4)]
    assert ends[0] == ends[1] != ends[2]


def test_undefined_resamples_are_left_out() -> None:
    ends = resampled_interval(lambda rows: float("nan") if rows[0] else 5.0, 4, seed=0, resamples=60)
    assert ends == (5, 5)
    assert np.isnan(resampled_interval(lambda rows: float("nan"), 4, seed=0)).all()
    assert np.isnan(resampled_interval(lambda rows: 1.0, 4, seed=0, resamples=0)).all()
