"""PPI++ against ppi-python's figures, and its interval by hand."""

from math import ceil

import numpy as np
import pytest
from numpy.typing import NDArray

from itrp.errors import DataError, WrongUseError
from itrp.evaluation.prediction_moments import PredictionMoments, moments_of_classes
from itrp.evaluation.prediction_powered import IMBALANCED, estimate_share, estimate_shares, labels_to_halve, tune_weight
from itrp.evaluation.shares import measure_share, wilson_interval

Z2 = 1.959963984540054**2
Cells = tuple[int, int, int, int]


def spread(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels and predictions of so many tweets with (label, prediction) = (1, 1), (1, 0), (0, 1), (0, 0)."""
    return np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells)


def ones_of(ones: int, count: int) -> PredictionMoments:
    return moments_of_classes([count - ones, ones])[1]


@pytest.mark.parametrize(
    ("cells", "others", "weight", "estimate"),
    [
        # ppi-python 0.2.3: ppi_mean_pointestimate and _calc_lam_glm with clip=True
        ((9, 3, 2, 16), (400, 1000), 0.6201824620984319, 0.42067274873661437),
        ((30, 10, 25, 35), (90, 120), 0.1933241379310346, 0.43866482758620695),
        ((20, 20, 20, 20), (5, 50), 0.0, 0.5),
    ],
)
def test_estimate_and_weight_are_those_of_ppi_python(
    cells: Cells, others: tuple[int, int], weight: float, estimate: float
) -> None:
    for of in ("source", "collection"):
        found = estimate_share(*spread(cells), ones_of(*others), of=of)  # type: ignore[arg-type]
        assert (found.weight, found.value) == pytest.approx((weight, estimate), abs=1e-12)


def test_probabilities_are_as_good_as_classes() -> None:
    """ppi-python 0.2.3 on the same numbers: its best weight is above 1, and is cut there."""
    labels = np.array([1, 1, 0, 0, 1, 0, 1, 0, 0, 1])
    predictions = np.array([0.9, 0.6, 0.2, 0.4, 0.8, 0.1, 0.3, 0.5, 0.05, 0.95])
    others = PredictionMoments.of(np.linspace(0.02, 0.9, 45))
    found = estimate_share(labels, predictions, others)
    assert (found.weight, found.value) == pytest.approx((1, 0.48), abs=1e-12)
    assert found.model == pytest.approx((4.8 + 45 * 0.46) / 55)


def test_the_collections_interval_by_hand() -> None:
    """32 labels with half a label more in each cell: 13/32 positive, 12/32 predicted, 9.5/32 both."""
    found = estimate_share(*spread((9, 3, 2, 16)), ones_of(400, 1000))
    slope = 0.6201824620984319 * 1.03  # on the mean prediction of all 1,030
    label, prediction, both = 13 / 32 * 19 / 32, 12 / 32 * 20 / 32, 9.5 / 32 - 13 / 32 * 12 / 32
    explained = 1 - (label - 2 * slope * both + slope**2 * prediction) / label
    assert found.explained == pytest.approx(explained)
    assert found.effective_labels == pytest.approx(30 / ((1 - 30 / 1030) * (1 - explained)))
    low, high = wilson_interval(0.42067274873661437, found.effective_labels)
    assert (found.low, found.high) == (np.floor(low * 1030) / 1030, np.ceil(high * 1030) / 1030)
    assert found.human == measure_share(12, 30, population=1030)
    assert (found.n, found.population, found.of, found.level) == (30, 1030, "collection", 0.95)
    assert found.model == pytest.approx((11 + 400) / 1030)
    assert found.width < found.human.width


def test_the_sources_interval_by_hand() -> None:
    found = estimate_share(*spread((9, 3, 2, 16)), ones_of(400, 1000), of="source")
    weight = 0.6201824620984319
    label, prediction, both = 13 / 32 * 19 / 32, 12 / 32 * 20 / 32, 9.5 / 32 - 13 / 32 * 12 / 32
    labelled, predicted = label - 2 * weight * both + weight**2 * prediction, weight**2 * 0.24
    effective = label / (labelled / 30 + predicted / 1000)  # labels alone that would have the variance of the estimate
    assert found.effective_labels == pytest.approx(effective)
    assert (found.low, found.high) == pytest.approx([float(end) for end in wilson_interval(found.value, effective)])
    assert found.human == measure_share(12, 30)


def test_with_many_labels_the_interval_is_ppi_pythons() -> None:
    """The same cells a hundred times: 1.96 standard errors to either side, as ppi_mean_ci has it."""
    labels, predictions = spread((900, 300, 200, 1600))
    others = ones_of(40_000, 100_000)
    found = estimate_share(labels, predictions, others, of="source")
    weight = tune_weight([labels], [predictions], [others])
    error = np.sqrt((labels - weight * predictions).var() / 3000 + weight**2 * 0.24 / 100_000)
    assert (found.low, found.high) == pytest.approx(
        (found.value - np.sqrt(Z2) * error, found.value + np.sqrt(Z2) * error), abs=2e-4
    )


@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("of", ["source", "collection"])
def test_labels_of_one_class_leave_wilsons_interval(n: int, label: int, of: str) -> None:
    """Nothing can be tuned; the width is that of the labels alone, never none."""
    predictions = np.arange(n) % 2
    found = estimate_share(np.full(n, label), predictions, ones_of(3000, 10_000), of=of)  # type: ignore[arg-type]
    assert (found.weight, found.value) == (0, label)
    assert (found.low, found.high) == (found.human.low, found.human.high)
    assert found.width > 3 / (n + 4)


def test_a_model_without_an_error_so_far_may_err_still() -> None:
    """100 labels, all predicted rightly: PPI++'s interval would be that of 10,100 labels. The rule of three says that up to 3 %
    of the predictions can be wrong."""
    found = estimate_share(*spread((30, 0, 0, 70)), ones_of(3000, 10_000))
    assert 300 < found.effective_labels < 4_000
    assert 0.03 < found.width < found.human.width / 2


def test_predictions_that_are_all_the_same_change_nothing() -> None:
    labels = np.repeat([1, 0], [30, 70])
    for value in (0.0, 0.1, 1.0):
        found = estimate_share(labels, np.full(100, value), PredictionMoments.of(np.full(900, value)))
        assert found.weight == 0
        assert (found.value, found.low, found.high) == (0.3, found.human.low, found.human.high)


def test_a_model_that_says_the_contrary_has_no_weight() -> None:
    found = estimate_share(*spread((5, 45, 45, 5)), ones_of(500, 1000))
    assert (found.weight, found.value) == (0, 0.5)


def test_everything_labelled_is_known() -> None:
    found = estimate_share(*spread((9, 3, 2, 16)), PredictionMoments(0, 0, 0))
    assert (found.value, found.low, found.high) == (0.4, 0.4, 0.4)
    source = estimate_share(*spread((9, 3, 2, 16)), PredictionMoments(0, 0, 0), of="source")
    assert (source.low, source.high) == (source.human.low, source.human.high)


def test_the_estimate_stays_among_the_possible_shares() -> None:
    """One positive label, which the model missed, among 40; it finds hardly any elsewhere: not below 1 of 1,040."""
    found = estimate_share(*spread((2, 0, 6, 32)), ones_of(0, 1000))
    assert found.value == found.low == 2 / 1040
    assert estimate_share(*spread((2, 0, 6, 32)), ones_of(0, 1000), of="source").value >= 0


def test_labels_that_are_no_random_sample_are_noticed() -> None:
    """Of 100 labelled tweets the model calls 50 positive and of 10,000 others 30 %: off by 0.2 / sqrt(0.21 / 100)."""
    found = estimate_share(*spread((40, 10, 10, 40)), ones_of(3_000, 10_000))
    assert found.imbalance == pytest.approx(0.2 / np.sqrt(0.21 / 100 + 0.21 / 10_000))
    assert found.imbalance > IMBALANCED
    assert estimate_share(*spread((26, 6, 6, 62)), ones_of(3_000, 10_000)).imbalance == pytest.approx(0.43, abs=0.01)
    assert estimate_share(*spread((5, 5, 0, 0)), ones_of(0, 10)).imbalance == float("inf")
    assert estimate_share(*spread((5, 0, 5, 0)), ones_of(10, 10)).imbalance == 0


# Row = label, column = prediction, four relations.
RELATIONS = np.array([[20, 2, 3, 0], [3, 9, 1, 2], [2, 0, 8, 1], [0, 1, 2, 6]])


def test_four_relations_at_once_are_ppi_pythons() -> None:
    """ppi-python 0.2.3: ppi_mean_pointestimate of indicators [n, 4], which tunes one weight for all."""
    labels, predictions = np.divmod(np.repeat(np.arange(16), RELATIONS.ravel()), 4)
    others = moments_of_classes([250, 110, 90, 50])
    found = estimate_shares(labels, predictions, others)
    assert [each.value for each in found] == pytest.approx([0.4643867, 0.26145281, 0.15279251, 0.12136798], abs=1e-7)
    assert sum(each.value for each in found) == pytest.approx(1, abs=1e-12)
    assert [each.human.value for each in found] == [25 / 60, 15 / 60, 11 / 60, 9 / 60]
    assert [each.model for each in found] == pytest.approx([275 / 560, 122 / 560, 104 / 560, 59 / 560])
    assert len({each.weight for each in found}) == 1
    assert all(each.low < each.value < each.high for each in found)
    assert estimate_shares(labels, np.eye(4)[predictions], others) == found  # as probabilities


def test_of_two_classes_each_is_the_others_rest() -> None:
    labels, predictions = spread((9, 3, 2, 16))
    zero, one = estimate_shares(labels, predictions, moments_of_classes([600, 400]))
    assert one == estimate_share(labels, predictions, ones_of(400, 1000))
    assert (zero.value, zero.low, zero.high) == pytest.approx((1 - one.value, 1 - one.high, 1 - one.low), abs=1e-12)


def test_labels_alone_that_halve_the_interval() -> None:
    """At 1/2 Wilson's width is z / sqrt(n + z^2), half of it with 4 n + 3 z^2 labels; at 0 it is z^2 / (n + z^2)."""
    others = ones_of(50_000, 100_000)
    half = estimate_share(*spread((25, 25, 25, 25)), others, of="source")
    for with_model in (True, False):  # a useless one
        assert labels_to_halve(half, with_model=with_model) == ceil(4 * 100 + 3 * Z2) - 100
    none = estimate_share(*spread((0, 0, 50, 50)), others, of="source")
    assert labels_to_halve(none) == ceil(2 * 100 + Z2) - 100


@pytest.mark.parametrize("of", ["source", "collection"])
def test_labels_beside_a_model_that_halve_the_interval(of: str) -> None:
    found = estimate_share(*spread((40, 10, 10, 40)), ones_of(5_000, 9_900), of=of)  # type: ignore[arg-type]
    found = estimate_share(*spread((40, 10, 10, 40)), ones_of(4_950, 9_900), of=of)  # type: ignore[arg-type]
    assert found.value == 0.5
    needed, left, size = 4 * found.effective_labels + 3 * Z2, 1 - found.explained, 10_000
    # n / (1 - r^2 (1 - n/M)) = needed for the source, n / ((1 - n/M) (1 - r^2)) = needed for the collection
    n = (
        needed * left / (1 - needed * found.explained / size)
        if of == "source"
        else needed * left / (1 + needed * left / size)
    )
    assert labels_to_halve(found) == ceil(n) - 100
    again = estimate_share(
        *spread((40 * 4, 10 * 4, 10 * 4, 40 * 4)),
        ones_of(4_800, 9_600),
        of=of,  # type: ignore[arg-type]
    )
    assert again.width == pytest.approx(found.width / 2, rel=0.06)  # 400 labels, nearly what was asked for


def test_halving_has_an_end() -> None:
    small = estimate_share(*spread((25, 25, 25, 25)), ones_of(25, 50), of="source")
    assert labels_to_halve(small) is None  # 150 tweets are too few to know their source so well
    whole = estimate_share(*spread((25, 25, 25, 25)), PredictionMoments(0, 0, 0))
    assert labels_to_halve(whole) is None  # nothing to halve
    assert 0 < labels_to_halve(estimate_share(*spread((25, 25, 25, 25)), ones_of(25, 50))) <= 50


@pytest.mark.parametrize(
    ("labels", "predictions", "told"),
    [
        ([], [], "label some tweets of the random queue"),
        ([0, 1], [1], r"found \(2,\) labels and \(1,\) predictions"),
        ([0, -1], [0, 1], "leave out unlabelled tweets"),
        ([0, 1], [0, 1.5], "predictions from 0 to 1"),
        ([0, 1], [0, float("nan")], "leave out tweets without a prediction"),
    ],
)
def test_what_cannot_be_estimated(labels: list[int], predictions: list[float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        estimate_share(np.array(labels), np.array(predictions), ones_of(5, 10))


def test_other_misuse() -> None:
    with pytest.raises(WrongUseError, match="of the collection or of the source, found 'all'"):
        estimate_share(*spread((1, 1, 1, 1)), ones_of(5, 10), of="all")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="labels from 0 to 1, found"):
        estimate_shares(np.array([0, 2]), np.array([0, 1]), moments_of_classes([5, 5]))
    with pytest.raises(DataError, match="found 3 columns and 2 classes"):
        estimate_shares(np.array([0, 1]), np.ones((2, 3)) / 3, moments_of_classes([5, 5]))
