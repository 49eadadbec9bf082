"""Platt's scaling on scores whose truth is known."""

import numpy as np
import pytest

from itrp.evaluation.reliability import expected_calibration_error
from itrp.models.calibration import Calibration, fit_calibration


def draw_scores(n: int, factor: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn by their log-odds, and scores that exaggerate these and are off."""
    rng = np.random.default_rng(5)
    odds = rng.normal(0, 1.5, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return labels, factor * odds + shift


def test_calibration_finds_what_the_scores_exaggerate() -> None:
    labels, scores = draw_scores(20_000, 4.0, 2.0)
    found = fit_calibration(labels, scores)
    assert found.slope == pytest.approx(0.25, abs=0.01)
    assert found.offset == pytest.approx(-0.5, abs=0.04)


@pytest.mark.parametrize("n", [40, 200, 2000])
def test_calibration_lowers_the_error_on_other_labels(n: int) -> None:
    labels, scores = draw_scores(n + 4000, 4.0, 2.0)
    found = fit_calibration(labels[:n], scores[:n])
    raw = Calibration(1.0, 0.0).probabilities(scores[n:])
    before = expected_calibration_error(labels[n:], raw)
    after = expected_calibration_error(labels[n:], found.probabilities(scores[n:]))
    assert after < 0.7 * before


def test_calibration_keeps_what_is_calibrated() -> None:
    labels, scores = draw_scores(8000, 1.0, 0.0)
    found = fit_calibration(labels[:4000], scores[:4000])
    raw = expected_calibration_error(labels[4000:], Calibration(1.0, 0.0).probabilities(scores[4000:]))
    assert expected_calibration_error(labels[4000:], found.probabilities(scores[4000:])) < raw + 0.01


def test_a_few_labels_that_scores_separate_are_not_certain() -> None:
    """Platt's targets: (10 + 1) / (10 + 2) at the most, for ten labels of a class."""
    labels, scores = np.repeat([0, 1], 10), np.repeat([-1.0, 1.0], 10)
    found = fit_calibration(labels, scores).probabilities(scores)
    assert found[[0, -1]] == pytest.approx([1 / 12, 11 / 12], abs=1e-3)


def test_the_unit_of_the_scores_does_not_matter() -> None:
    labels, scores = draw_scores(200, 1.0, 0.0)
    small, large = (fit_calibration(labels, scores * unit).probabilities(scores * unit) for unit in (1e-4, 1e4))
    assert small == pytest.approx(large, abs=1e-4)


def test_scores_that_rank_worse_than_chance_say_nothing() -> None:
    labels, scores = np.array([0, 0, 0, 1]), np.array([3.0, 2.0, 1.0, -4.0])
    found = fit_calibration(labels, scores)
    assert found.slope == 0.0
    mean = (3 * (1 / 5) + 2 / 3) / 4  # of the smoothed targets 1 / (3 + 2) and (1 + 1) / (1 + 2)
    assert found.probabilities(scores) == pytest.approx([mean] * 4)


def test_far_scores_do_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert Calibration(1.0, 0.0).probabilities(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]
