"""The parts of the comparison that need no checkout of the reference: what is fed in, and how two runs are compared."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from itrp.data.shards import read_shard
from itrp.datasets.synthetic import write_twitter100k_layout
from itrp.evaluation.results import Protocol
from tests.benchmarks.side_by_side import (
    AS_THEY_ARE,
    LEVELS,
    Comparison,
    build_parser,
    choose_levels,
    configure,
    format_noise,
    format_row,
    score,
)
from tests.benchmarks.sides import Labelled, Trace, nudge, read_labelled, silence_dropout, write_labelled, write_tweets

LABELLED = Labelled(Path("nowhere"), tuple("aabbccdd"), tuple("12345678"), np.array([1, 0] * 4))
"""Four pictures, each with its own caption and another's; a and c are dev, b and d test."""


def make_trace(pseudo_labels: list[list[int]], answers: list[list[int]], f1s: list[float] | None = None) -> Trace:
    empty = np.zeros((2, 1), dtype=np.float32)
    labels, given = ([np.array(each) for each in rounds] for rounds in (pseudo_labels, answers))
    return Trace(labels, given, [0.5] * len(answers), 12.4, 900.6, empty, empty, f1s or [])


RIGHT, SWAPPED = [1, 0] * 4, [0, 1] * 4
ONE_OFF = [1, 0, 1, 0, 1, 0, 1, 1]
COMPARISON = Comparison(
    "text",
    0,
    AS_THEY_ARE,
    make_trace([[0, 0, 1, 1], [0, 1, 1, 1]], [ONE_OFF, SWAPPED], [0.873015873015873, 1.0]),
    make_trace([[1, 1, 0, 0], [0, 0, 1, 1]], [RIGHT, RIGHT]),
    LABELLED,
)


def test_the_pairs_of_a_picture_are_all_dev_or_all_test() -> None:
    assert LABELLED.dev_rows().tolist() == [True, True, False, False, True, True, False, False]


def test_agreement_is_by_round_and_after_alignment() -> None:
    assert COMPARISON.pseudo_labels() == [1.0, 0.75]
    assert COMPARISON.answers() == [0.875, 1.0]


def test_answers_are_scored_by_protocol() -> None:
    # Named on dev: all right whichever way round. The last of three answers nothing but 1.
    trace = make_trace([], [ONE_OFF, SWAPPED, [1] * 8])
    assert score(trace, LABELLED, Protocol.ORACLE) == 1.0  # round 2, on all pairs
    assert score(trace, LABELLED, Protocol.DEV) == pytest.approx(11 / 15)  # round 1: b right, d twice 1
    assert score(trace, LABELLED, Protocol.LAST) == pytest.approx(0.5 * 2 / 3)


def test_the_references_own_f1_is_checked() -> None:
    assert COMPARISON.own_f1_difference() < 1e-12
    wrong = make_trace([], [RIGHT], [0.75])
    assert Comparison("text", 0, AS_THEY_ARE, wrong, wrong, LABELLED).own_f1_difference() == 0.25


def test_a_row_names_every_figure() -> None:
    cells = [cell.strip() for cell in format_row(COMPARISON).strip("|").split("|")]
    assert cells == [
        *("text", "0", AS_THEY_ARE, "100.0 75.0", "87.5 100.0"),
        *("100.0 / 100.0", "100.0 / 100.0", "0.500 / 0.500", "12 / 12", "901 / 901"),
    ]


def test_two_seeds_are_compared_within_each_side() -> None:
    second = Comparison("text", 1, AS_THEY_ARE, COMPARISON.ours, COMPARISON.ours, LABELLED)
    other_level = Comparison("text", 0, "and no dropout", COMPARISON.ours, COMPARISON.ours, LABELLED)
    assert list(format_noise([COMPARISON, second, other_level])) == [
        "text, reference: pseudo-labels 100.0 75.0, answers 87.5 100.0",
        "text, ours: pseudo-labels 100.0 100.0, answers 100.0 100.0",
    ]
    assert next(iter(format_noise([COMPARISON]))) == "text, reference: pseudo-labels - -, answers - -"


def test_causes_are_switched_off_on_the_first_seeds_only() -> None:
    assert choose_levels("image", 0, 1) == list(LEVELS)
    assert choose_levels("text", 0, 1) == list(LEVELS)[:3]
    assert choose_levels("image", 1, 1) == [AS_THEY_ARE]


def test_subsets_divide_the_pairs_so_that_the_reference_drops_none() -> None:
    config = configure("image", 2, 500, 1347, 96)
    assert (config.pairs, config.subset_size, config.seed, config.image.size) == (1000, 500, 2, 96)
    assert (config.image.finetune, config.sampling) == (True, "over")


def test_nothing_is_dropped_once_dropout_is_silent() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    model = nn.Sequential(nn.Dropout(0.5), EfficientNet.from_name("efficientnet-lite0"))
    silence_dropout(model)
    assert {part.p for part in model.modules() if isinstance(part, nn.Dropout)} == {0.0}
    assert vars(model[1])["_global_params"].drop_connect_rate == 0.0


def test_a_nudge_is_one_rounding_unit_and_spares_zeros() -> None:
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -0.3, 0.0]]))
    nudge(layer)
    assert layer.weight.tolist()[0] == [1 + 2**-23, pytest.approx(-0.3, abs=1e-7), 0.0]
    assert layer.weight[0, 1] < torch.tensor(-0.3)


def test_refused_tweets_are_left_out_on_both_sides(tmp_path: Path) -> None:
    drawn = write_twitter100k_layout(tmp_path / "drawn", 20, 1)
    (drawn / "images" / "3.jpg").unlink()
    shard, lines = write_tweets(tmp_path, drawn)
    assert lines == [0, 1, *range(3, 20)]
    assert read_shard(shard.path, ["id"]).column("id").to_pylist() == [str(line + 1) for line in lines]


def test_labelled_pairs_are_read_in_their_order(tmp_path: Path) -> None:
    drawn = write_twitter100k_layout(tmp_path / "drawn", 20, 1)
    lines = ["image,text,text_is_represented", "images/2.jpg,a red bike,1", "images/1.jpg,a red bike,0"]
    (drawn / "pairs.csv").write_text("\n".join(lines))
    labelled = read_labelled(drawn)
    assert (labelled.texts, labelled.labels.tolist()) == (("a red bike",) * 2, [1, 0])
    shard = write_labelled(tmp_path, labelled)
    (first, second) = read_shard(shard.path, ["image"]).column("image").to_pylist()
    assert first["bytes"] == (drawn / "images" / "2.jpg").read_bytes()
    assert second["path"] == "images/1.jpg"


def test_the_command_line_asks_for_the_three_folders() -> None:
    options = build_parser().parse_args(["--reference", "a", "--data", "b", "--labelled", "c", "--seeds", "2"])
    assert (options.reference, options.data, options.labelled) == (Path("a"), Path("b"), Path("c"))
    assert (options.seeds, options.tasks, options.causes_on) == (2, ("text", "image"), 1)
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--data", "b", "--labelled", "c"])
