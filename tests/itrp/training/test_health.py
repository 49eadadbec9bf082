"""What training says of itself: figures of rounds and answers of two models, with findings computed by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from itrp.training.health import find_same_labels, find_same_predictions, find_small_epochs, find_weak_rounds

NAMES = ("itrp-text-task/1", "itrp-image-task/1")


@dataclass(frozen=True)
class Sizes:
    """A round's figures."""

    cluster_sizes: tuple[int, ...]
    sampled_sizes: tuple[int, ...]
    round: int = 1
    rounds: int = 1


def test_fifty_nine_and_one_under_sampled() -> None:
    """59 copies and one other tweet: the model saw two pairs."""
    few, small = find_weak_rounds([Sizes((59, 1), (1, 1))], batch_size=16)
    assert (few.code, few.round) == ("few-pairs", 1)
    assert few.sentence == (
        "round 1 of 1 trained on 2 pairs, [1, 1] of its clusters, expected at least 2 batches of 16"
    )
    assert "subset_size" in few.remedy
    assert (small.code, small.round) == ("small-cluster", 1)
    assert small.sentence == (
        "round 1 of 1 has clusters of [59, 1] pairs, the smallest 1.7%, expected at least 1% and 5 pairs"
    )
    assert str(small) == f"{small.sentence}; {small.remedy}"


def test_fifty_nine_and_one_over_sampled() -> None:
    """One pair 59 times is 118 pairs to count, and one to learn from."""
    (finding,) = find_weak_rounds([Sizes((59, 1), (59, 59))], batch_size=16)
    assert finding.code == "small-cluster"


def test_two_and_one() -> None:
    found = find_weak_rounds([Sizes((2, 1), (1, 1))], batch_size=16)
    assert [each.code for each in found] == ["few-pairs", "small-cluster"]


@pytest.mark.parametrize(
    ("clusters", "sampled", "codes"),
    [
        ((16, 16), (16, 16), []),
        ((16, 15), (15, 15), ["few-pairs"]),
        ((2475, 25), (25, 25), []),  # 1 % to the pair
        ((2476, 24), (24, 24), ["small-cluster"]),
        ((95, 5), (95, 95), []),
        ((96, 4), (96, 96), ["small-cluster"]),
        ((50, 50, 50, 0), (50, 50, 50, 0), ["small-cluster"]),
    ],
)
def test_where_the_lines_are(clusters: tuple[int, ...], sampled: tuple[int, ...], codes: list[str]) -> None:
    found = find_weak_rounds([Sizes(clusters, sampled)], batch_size=16)
    assert [each.code for each in found] == codes


def test_every_round_counts_and_the_first_is_named() -> None:
    rounds = [
        Sizes((100, 100), (100, 100), 1, 4),
        Sizes((197, 3), (3, 3), 2, 4),
        Sizes((100, 100), (100, 100), 3, 4),
        Sizes((190, 10), (10, 10), 4, 4),
    ]
    few, small = find_weak_rounds(rounds, batch_size=16)
    assert few.sentence.startswith("round 2 of 4 (and 1 more) trained on 6 pairs, [3, 3] of its clusters")
    assert small.sentence.startswith("round 2 of 4 has clusters of [197, 3] pairs, the smallest 1.5%")
    assert (few.round, small.round) == (2, 2)


def test_vanilla_clustering_trains_in_no_batches() -> None:
    assert find_weak_rounds([Sizes((6, 5, 6, 7), (6, 5, 6, 7))], batch_size=None) == []


def test_supervised_epochs() -> None:
    assert find_small_epochs(32, batch_size=16) == []
    (finding,) = find_small_epochs(31, batch_size=16)
    assert (finding.code, finding.round) == ("few-pairs", None)
    assert finding.sentence == "every epoch trained on 31 pairs, expected at least 2 batches of 16"


def answers(same: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Text and image groups, half of each kind, that differ on the last pairs."""
    text = np.arange(same + other) % 2
    return text, np.concatenate([text[:same], 1 - text[same:]])


def test_two_models_with_one_partition() -> None:
    """191 of 200 tweets are 00 or 11. By chance half of them would be: the text groups are even."""
    found = find_same_predictions(*answers(191, 9), names=NAMES, data="landing")
    assert found is not None
    assert (found.code, found.round) == ("same-answers", None)
    assert found.sentence == (
        "itrp-text-task/1 and itrp-image-task/1 put 191 of 200 pairs of landing (95.5%, by chance 50%) into the same two "
        "groups, expected at most 95%: both have learned one task, not two"
    )


def test_groups_have_no_names() -> None:
    text, image = answers(191, 9)
    found = find_same_predictions(text, 1 - image, names=NAMES, data="landing")
    assert found is not None
    assert "191 of 200" in found.sentence


@pytest.mark.parametrize("same", [100, 150, 190])
def test_two_models_with_two_partitions(same: int) -> None:
    assert find_same_predictions(*answers(same, 200 - same), names=NAMES, data="landing") is None


def test_nearly_all_in_one_group_is_said() -> None:
    """98 % and 97 % in one group, apart: 0.98 * 0.97 + 0.02 * 0.03 = 95 % would agree by chance alone."""
    text, image = np.ones(200, dtype=np.int64), np.ones(200, dtype=np.int64)
    text[:4], image[1:7] = 0, 0
    found = find_same_predictions(text, image, names=NAMES, data="landing")
    assert found is not None
    assert "put 196 of 200 pairs of landing (98.0%, by chance 95%)" in found.sentence
    assert found.sentence.endswith("each has nearly all pairs in one group (98% and 97%), so neither separates pairs")


def test_a_handful_of_pairs_says_nothing() -> None:
    assert find_same_predictions(*answers(19, 0), names=NAMES, data="x") is None
    assert find_same_predictions(*answers(20, 0), names=NAMES, data="x") is not None


def test_labels_of_one_partition() -> None:
    """By relation, as scoring counts them: 86 + 105 of 200 are 00 or 11."""
    counts = {"00": 86, "01": 5, "10": 4, "11": 105}
    found = find_same_labels(counts, names=NAMES)
    assert found is not None
    assert found.sentence.startswith(
        "itrp-text-task/1 and itrp-image-task/1 put 191 of 200 pairs of the tweets just labelled (95.5%, by chance 50%) into"
    )
    assert find_same_labels({"00": 86, "01": 6, "10": 4, "11": 104}, names=NAMES) is None
    assert find_same_labels({}, names=NAMES) is None
