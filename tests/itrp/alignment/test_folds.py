"""Whoever shares a text or an image shares a fold, and nobody is shuffled with its own kin."""

import numpy as np

from itrp.alignment.folds import assign_folds, content_keys, draw_partners, find_groups


def test_equal_contents_have_equal_keys() -> None:
    keys = content_keys(["one", "two", "one"])
    assert keys.dtype == np.int64
    assert keys[0] == keys[2] != keys[1]
    assert len(content_keys([])) == 0


def test_pairs_hang_together_by_texts_and_images() -> None:
    """0 and 1 share a text, 1 and 2 an image: all three are one group, though 0 and 2 share nothing."""
    texts, images = np.array([7, 7, 8, 9]), np.array([1, 2, 2, 3])
    groups = find_groups(texts, images)
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_a_text_is_not_taken_for_an_image_of_the_same_key() -> None:
    assert len(set(find_groups(np.array([1, 2]), np.array([2, 1])))) == 2


def test_groups_stay_together_and_folds_fill_evenly() -> None:
    groups = np.repeat(np.arange(40), [10] * 4 + [1] * 36)
    folds = assign_folds(groups, 4, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in range(40))
    assert np.bincount(folds).tolist() == [19, 19, 19, 19]
    np.testing.assert_array_equal(folds, assign_folds(groups, 4, seed=0))
    assert (folds != assign_folds(groups, 4, seed=1)).any()


def test_partners_are_of_the_fold_and_of_another_group() -> None:
    groups, folds = np.repeat(np.arange(30), 2), np.repeat(np.array([0, 1]), 30)
    partners = draw_partners(groups, folds, seed=3)
    assert (folds[partners] == folds).all()
    assert (groups[partners] != groups).all()
    assert len(set(partners)) > 50  # nearly everybody is somebody's partner


def test_a_fold_of_one_group_has_no_partners() -> None:
    partners = draw_partners(np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1]), seed=0)
    assert partners.tolist() == [-1, -1, 3, 2]
