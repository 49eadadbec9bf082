"""Figures of a random sample of labels, by hand."""

import numpy as np
import pytest

from itrp.errors import DataError
from itrp.evaluation.bootstrap import bootstrap_interval, smoothed_interval
from itrp.evaluation.sampled_figures import count_confusion, measure_sample
from itrp.evaluation.shares import measure_share

# Row = label, column = prediction.
CONFUSION = np.array([[30, 10], [5, 55]])
LABELS, PREDICTIONS = np.repeat([0, 0, 1, 1], CONFUSION.ravel()), np.repeat([0, 1, 0, 1], CONFUSION.ravel())


def test_every_figure_by_hand() -> None:
    found = measure_sample(LABELS, PREDICTIONS, 2)
    assert (found.confusion == CONFUSION).all()
    assert found.n == 100
    assert found.accuracy == measure_share(85, 100)
    zero, one = found.classes
    assert (zero.precision, zero.recall) == (measure_share(30, 35), measure_share(30, 40))
    assert (one.precision, one.recall) == (measure_share(55, 65), measure_share(55, 60))
    assert found.f1.value == pytest.approx(0.4 * 60 / 75 + 0.6 * 110 / 125)
    assert found.f1.low < found.f1.value < found.f1.high
    cell = measure_share(5, 100)
    assert (found.cell_low[1, 0], found.cell_high[1, 0]) == pytest.approx((cell.low, cell.high))
    assert found.caution == ""


def test_classes_without_labels_or_predictions() -> None:
    found = measure_sample(np.array([0, 0, 1]), np.array([0, 2, 2]), 4)
    assert [each.precision and each.precision.value for each in found.classes] == [1, None, 0, None]
    assert [each.recall and each.recall.value for each in found.classes] == [0.5, 0, None, None]
    assert found.confusion.shape == found.cell_low.shape == (4, 4)


def test_few_labels_say_how_wide() -> None:
    """Accuracy 34 of 40: Wilson 0.7093 to 0.9294. At 0.85, 100 labels give 0.7672 to 0.9069 and 400 0.8117 to 0.8817."""
    rows = np.r_[0:12, 30:34, 40:42, 45:67]
    found = measure_sample(LABELS[rows], PREDICTIONS[rows], 2)
    assert (found.n, found.accuracy.value) == (40, 0.85)
    assert found.caution == (
        "40 labels only: the 95 % interval of the accuracy is 22 points wide; 100 labels would make it about 14, "
        "400 labels would make it about 7."
    )


def test_no_error_on_few_labels_is_no_certainty() -> None:
    """The percentile bootstrap of 20 right answers is 1 to 1; two labels spread over the cells leave room for errors."""
    labels = np.arange(20) % 2
    assert bootstrap_interval(labels, labels, seed=0) == (1, 1)
    found = measure_sample(labels, labels, 2)
    assert (found.f1.value, found.f1.high) == (1, 1)
    assert 0.75 < found.f1.low < 0.9
    assert found.accuracy.low == pytest.approx(0.8389, abs=1e-4)  # 20 / (20 + z^2)


def test_the_smoothed_interval_is_the_plain_one_with_many_labels() -> None:
    smoothed = smoothed_interval(100 * CONFUSION, seed=0, resamples=4000)
    plain = bootstrap_interval(np.repeat(LABELS, 100), np.repeat(PREDICTIONS, 100), seed=0, resamples=4000)
    assert smoothed == pytest.approx(plain, abs=5e-4)
    assert smoothed_interval(CONFUSION, seed=0, added=0) == bootstrap_interval(LABELS, PREDICTIONS, seed=0)
    assert smoothed_interval(CONFUSION, seed=1) != smoothed_interval(CONFUSION, seed=2)
    with pytest.raises(DataError, match="at least one label"):
        smoothed_interval(np.zeros((2, 2), dtype=int), seed=0)


def test_what_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="found 0 labels and 0 predictions: label some tweets of the random queue"):
        measure_sample(np.array([], dtype=int), np.array([], dtype=int), 2)
    with pytest.raises(DataError, match="found 2 labels and 1 predictions"):
        count_confusion(np.array([0, 1]), np.array([0]), 2)
    with pytest.raises(DataError, match="from 0 to 1, found -1"):
        count_confusion(np.array([0, -1]), np.array([0, 1]), 2)
    with pytest.raises(DataError, match="from 0 to 1, found 2"):
        count_confusion(np.array([0, 1]), np.array([0, 2]), 2)
