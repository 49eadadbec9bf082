"""Calibration curves by hand."""

import numpy as np
import pytest

from itrp.evaluation.reliability import bin_reliability, chance_calibration_error, expected_calibration_error


def test_bins_by_hand() -> None:
    """Two pairs about 0.1 of which none is of the class, three at 0.9 and 1.0 of which two are."""
    labels, probabilities = np.array([0, 0, 1, 0, 1]), np.array([0.12, 0.16, 0.9, 0.9, 1.0])
    first, second = bin_reliability(labels, probabilities)
    assert (first.predicted, first.observed, first.share) == pytest.approx((0.14, 0, 0.4))
    assert (second.predicted, second.observed, second.share) == pytest.approx((2.8 / 3, 2 / 3, 0.6))
    assert (first.n, second.n) == (2, 3)
    # Wilson with z = 1.96: of 0 of 2, z^2 / (2 + z^2); of 2 of 3, (2/3 + z^2/6 +- z sqrt(2/27 + z^2/36)) / (1 + z^2/3)
    assert (first.low, first.high) == pytest.approx((0, 0.657620), abs=1e-6)
    assert (second.low, second.high) == pytest.approx((0.207660, 0.938508), abs=1e-6)
    expected = 0.4 * 0.14 + 0.6 * (2.8 - 2) / 3
    assert expected_calibration_error(labels, probabilities) == pytest.approx(expected)


def test_probabilities_that_mean_what_they_say_have_no_error() -> None:
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    assert expected_calibration_error(labels, np.repeat([0.25, 0.75], 4)) == 0.0


def test_a_few_labels_show_an_error_by_chance() -> None:
    """Of n labels at 0.5 the share of ones is off by sqrt(2 / pi) standard deviations of 0.5 / sqrt(n) on average."""
    for n in (25, 400):
        expected = np.sqrt(2 / np.pi) * 0.5 / np.sqrt(n)
        assert chance_calibration_error(np.full(n, 0.5)) == pytest.approx(expected, rel=0.15)
    assert chance_calibration_error(np.array([0.0, 1.0])) == 0.0
