"""Mean and variance of predictions in parts."""

import numpy as np
import pytest

from itrp.errors import DataError
from itrp.evaluation.prediction_moments import PredictionMoments, moments_of_classes


def test_by_hand() -> None:
    found = PredictionMoments.of([0, 1, 1, 0.5])  # mean 2.5/4; squares 2.25/4 - 0.390625
    assert found == PredictionMoments(4, 0.625, 0.171875)
    assert PredictionMoments.of([]) == PredictionMoments(0, 0, 0)


def test_shards_together_are_the_whole_and_what_is_left_out_is_the_rest() -> None:
    rng = np.random.default_rng(0)
    values = rng.beta(0.4, 0.7, 10_000)
    whole, together = PredictionMoments.of(values), PredictionMoments.of([])
    for shard in np.split(values, [100, 101, 7000]):
        together = together.join(PredictionMoments.of(shard))
    assert together.count == whole.count
    assert (together.mean, together.variance) == pytest.approx((whole.mean, whole.variance), rel=1e-12)
    rest, expected = together.leave_out(values[:9_000]), PredictionMoments.of(values[9_000:])
    assert rest.count == expected.count
    assert (rest.mean, rest.variance) == pytest.approx((expected.mean, expected.variance), rel=1e-9)
    assert together.leave_out(values) == PredictionMoments(0, 0, 0)


def test_certain_predictions_stay_certain() -> None:
    ones = PredictionMoments.of(np.ones(7)).leave_out(np.ones(3))
    assert (ones.count, ones.mean, ones.variance) == (4, 1, 0)


def test_classes_of_counts() -> None:
    found = moments_of_classes([60, 0, 30, 10])
    assert [each.count for each in found] == [100] * 4
    assert [each.mean for each in found] == [0.6, 0, 0.3, 0.1]
    assert [each.variance for each in found] == pytest.approx([0.24, 0, 0.21, 0.09])
    assert moments_of_classes([0, 0]) == [PredictionMoments(0, 0, 0)] * 2


def test_what_cannot_be() -> None:
    for mean, variance in ((1.2, 0), (0.5, 0.3), (0.5, -0.1), (float("nan"), 0)):
        with pytest.raises(DataError, match="between 0 and 1, the variance at most"):
            PredictionMoments(10, mean, variance)
    with pytest.raises(DataError, match="at most 2 predictions to leave out, found 3"):
        PredictionMoments.of([0, 1]).leave_out([0, 1, 1])
