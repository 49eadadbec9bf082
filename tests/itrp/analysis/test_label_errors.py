"""Candidates for label errors, worked out by hand on eight labels."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from itrp.analysis.label_errors import rank_label_errors, relation_probabilities, tabulate_errors
from itrp.data.annotations import Annotations
from itrp.errors import DataError
from itrp.labels import Task

Annotate = Callable[..., Annotations]

RELATIONS = ("00", "00", "00", "00", "10", "10", "10", "10")
REPRESENTED = np.array([0.1, 0.2, 0.9, 0.3, 0.9, 0.8, 0.05, 0.7])


def two_columns(positive: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([1 - positive, positive], axis=1)


def test_ranking_and_figures_by_hand(annotate: Annotate) -> None:
    """Thresholds are the mean probabilities of a class's own labels: 0.625 for 0 and 0.6125 for 1. Above the other's
    threshold are row 2 (0.9 for 1) and row 6 (0.95 for 0): these two are flagged. Of the others rows 3 and 7 come next.
    """
    annotations = annotate(RELATIONS, {2: "10", 3: "10"})
    found = rank_label_errors(Task.TEXT, two_columns(REPRESENTED), annotations)
    assert found.table["row"].tolist() == [6, 2, 3, 7, 1, 5, 0, 4]
    assert found.table["rank"].tolist() == list(range(1, 9))
    # quality: (p - threshold + 0.625) over the sum of both classes', which is 1.0125
    assert found.table["quality"][:4].tolist() == pytest.approx(np.array([0.0625, 0.1, 0.7, 0.7125]) / 1.0125)
    assert found.table["flagged"].tolist() == [True, True] + [False] * 6
    assert found.table["known_error"].tolist() == [False, True, True] + [False] * 5
    assert found.counts == (8, 2, 2)
    assert found.base_rate == 0.25
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.lift == pytest.approx((1 / 2 + 2 / 3) / 2 / 0.25)
    assert (found.precision, found.recall, found.precision_at_known) == (0.5, 0.5, 0.5)
    first = found.table.iloc[1]
    assert (first["id"], first["label"], first["suggested"], first["corrected"]) == (
        "t2", "text not represented", "text represented", "text represented",
    )  # fmt: skip


def test_a_correction_of_the_other_task_is_no_error_of_this_one(annotate: Annotate) -> None:
    annotations = annotate(RELATIONS, {2: "10", 3: "01"})
    found = rank_label_errors(Task.TEXT, two_columns(REPRESENTED), annotations)
    assert found.table.set_index("row")["known_error"].to_dict() == {row: row == 2 for row in range(8)}
    relations = relation_probabilities(two_columns(REPRESENTED), np.full((8, 2), 0.5))
    both = rank_label_errors(Task.IMAGE_TEXT, relations, annotations)
    assert sorted(both.table["row"][both.table["known_error"]]) == [2, 3]


def test_only_the_labelled_pairs_of_the_split_count(annotate: Annotate) -> None:
    annotations = annotate((*RELATIONS, "10", "--"), None, ["test"] * 8 + ["train", "test"])
    found = rank_label_errors(Task.TEXT, two_columns(np.append(REPRESENTED, [0.0, 0.0])), annotations)
    assert sorted(found.table["row"]) == list(range(8))


def test_without_known_errors_there_is_a_ranking_and_no_figure(annotate: Annotate) -> None:
    found = rank_label_errors(Task.TEXT, two_columns(REPRESENTED), annotate(RELATIONS))
    assert found.table["row"].tolist()[:2] == [6, 2]
    assert found.base_rate == 0
    assert np.isnan(
        [found.average_precision, found.precision, found.recall, found.precision_at_known, found.lift]
    ).all()


def test_planted_errors_are_found_far_above_chance(annotate: Annotate) -> None:
    """A tenth of 400 relations is turned round; a model that is right in 85 % of the cases ranks them first."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    wrong = rng.random(400) < 0.1
    published = np.where(wrong, 3 - truth, truth)
    positive = [
        np.where(rng.random(400) < 0.15, 1 - side, side) * 0.6 + rng.uniform(0.1, 0.3, 400)
        for side in (truth // 2, truth % 2)
    ]
    probabilities = relation_probabilities(two_columns(positive[0]), two_columns(positive[1]))
    codes = [f"{relation // 2}{relation % 2}" for relation in published]
    corrections = {int(row): f"{truth[row] // 2}{truth[row] % 2}" for row in np.flatnonzero(wrong)}
    found = rank_label_errors(Task.IMAGE_TEXT, probabilities, annotate(codes, corrections))
    assert found.counts[2] == wrong.sum()
    assert found.lift > 4
    assert found.recall > 0.7
    row = tabulate_errors({Task.IMAGE_TEXT: found}).iloc[0]
    assert (row["task"], row["known"], row["lift"]) == ("image-text", wrong.sum(), pytest.approx(found.lift))


def test_a_class_without_labels_does_no_harm(annotate: Annotate) -> None:
    """Relations 00 and 10 alone occur: two of the four columns have no label to learn a threshold from."""
    probabilities = relation_probabilities(two_columns(REPRESENTED), np.full((8, 2), [0.8, 0.2]))
    found = rank_label_errors(Task.IMAGE_TEXT, probabilities, annotate(RELATIONS))
    assert found.table["row"].tolist()[:2] == [6, 2]


def test_relations_are_products() -> None:
    relations = relation_probabilities(np.array([[0.9, 0.1]]), np.array([[0.3, 0.7]]))
    assert relations.tolist() == [pytest.approx([0.27, 0.63, 0.03, 0.07])]


def test_wrong_input_is_refused(annotate: Annotate) -> None:
    with pytest.raises(DataError, match=r"of the shape \[8, 2\] for the text task, found \[7, 2\]"):
        rank_label_errors(Task.TEXT, two_columns(REPRESENTED[:7]), annotate(RELATIONS))
    with pytest.raises(DataError, match="the test split has 0 labelled pairs of 0 classes for the text task"):
        rank_label_errors(Task.TEXT, two_columns(REPRESENTED), annotate(RELATIONS, None, ["train"] * 8))
    with pytest.raises(DataError, match="the test split has 8 labelled pairs of 1 classes for the image task"):
        rank_label_errors(Task.IMAGE, two_columns(REPRESENTED), annotate(RELATIONS))
