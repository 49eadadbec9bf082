"""Krippendorff's alpha, worked out by hand, and the tables it is read from."""

from pathlib import Path

import numpy as np
import pytest

from itrp.analysis.annotators import AnnotationTable, measure_alpha, read_annotation_tables
from itrp.errors import DataError, WrongUseError


def table(*rows: str, task: str = "text") -> AnnotationTable:
    """One row an item, one letter an annotator, `.` where there is no label."""
    labels = np.array([["" if label == "." else label for label in row] for row in rows])
    return AnnotationTable(task, np.arange(len(rows)).astype(str), np.array(list("abcdef"[: len(rows[0])])), labels)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "votes.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Four items by two annotators. Coincidences o(1,1) = 4, o(0,0) = 2, o(0,1) = o(1,0) = 1; n(1) = 5, n(0) = 3.
# Observed disagreement 2/8, expected 2*5*3/(8*7): alpha = 1 - 0.25 / (30/56).
BINARY = ("11", "11", "00", "01")
# Three items by two annotators: values 1, 1, 2, 3, 3, 3. One of three pairs differs, 2 against 3.
RANKS = ("11", "23", "33")


def test_nominal_alpha_by_hand() -> None:
    found = measure_alpha(table(*BINARY), resamples=0)
    assert found.alpha == pytest.approx(1 - 0.25 / (30 / 56))
    assert (found.items, found.annotators, found.labels, found.values) == (4, 2, 8, ("0", "1"))
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("level", "observed", "expected"),
    [
        ("nominal", 2 / 6, 2 * (2 * 1 + 2 * 3 + 1 * 3) / 30),
        # squared distances 1-2: 1, 2-3: 1, 1-3: 4
        ("interval", 2 / 6, 2 * (2 * 1 * 1 + 1 * 3 * 1 + 2 * 3 * 4) / 30),
        # squared distances by rank, 1-2: 1.5^2, 2-3: 2^2, 1-3: 3.5^2
        ("ordinal", 2 * 4 / 6, 2 * (2 * 1 * 2.25 + 1 * 3 * 4 + 2 * 3 * 12.25) / 30),
    ],
)
def test_each_level_by_hand(level: str, observed: float, expected: float) -> None:
    found = measure_alpha(table(*RANKS), level, resamples=0)  # type: ignore[arg-type]
    assert found.alpha == pytest.approx(1 - observed / expected)


def test_single_labels_do_not_count() -> None:
    with_singles = measure_alpha(table(*(f"{row}." for row in BINARY), "1..", "..0", "..."), resamples=0)
    assert with_singles.alpha == pytest.approx(measure_alpha(table(*BINARY), resamples=0).alpha)
    assert (with_singles.items, with_singles.annotators, with_singles.labels) == (4, 2, 8)


def test_the_order_of_numbers_is_theirs_and_not_that_of_their_letters() -> None:
    """At the level ordinal, 10 comes after 9."""
    labels = np.array([["9", "10"], ["10", "10"], ["2", "2"], ["9", "9"]])
    found = measure_alpha(AnnotationTable("t", np.arange(4).astype(str), np.array(["a", "b"]), labels), "ordinal")
    assert found.values == ("2", "9", "10")
    small = measure_alpha(table("23", "33", "11", "22"), "ordinal")
    assert found.alpha == pytest.approx(small.alpha)


def test_the_interval_holds_alpha_and_is_repeatable() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 120)
    votes = np.stack([np.where(rng.random(120) < 0.15, 1 - truth, truth) for _ in range(3)], axis=1).astype(str)
    asked = AnnotationTable("t", np.arange(120).astype(str), np.array(["a", "b", "c"]), votes)
    first, again = measure_alpha(asked, seed=1), measure_alpha(asked, seed=1)
    assert first == again
    assert first.low < first.alpha < first.high
    assert measure_alpha(asked, seed=2).low != first.low
    fewer = AnnotationTable("t", asked.items[:30], asked.annotators, asked.labels[:30])
    narrow, wide = first, measure_alpha(fewer, seed=1)
    assert narrow.high - narrow.low < wide.high - wide.low


def test_perfect_agreement_is_one_whichever_items_are_drawn() -> None:
    found = measure_alpha(table("11", "00", "11", "00"))  # some resamples show one class only: they have no alpha
    assert (found.alpha, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("rows", "level", "told"),
    [
        (("1.", ".0"), "nominal", "no item of text has two labels (2 items, 2 annotators): let a second person label"),
        (("11", "11"), "nominal", "alpha of text is undefined: all labels of its 2 items are '1'"),
        (("ab", "aa"), "ordinal", "the level ordinal needs numbers as labels of text, found ['a', 'b']"),
    ],
)
def test_what_has_no_alpha_is_told(rows: tuple[str, ...], level: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        measure_alpha(table(*rows), level)  # type: ignore[arg-type]
    assert told in str(caught.value)


def test_one_number_written_in_two_ways_is_refused() -> None:
    labels = np.array([["1", "1.0"], ["2", "2"]])
    asked = AnnotationTable("t", np.array(["1", "2"]), np.array(["a", "b"]), labels)
    with pytest.raises(DataError, match="each written in one way"):
        measure_alpha(asked, "interval")


def test_another_level_is_wrong_use() -> None:
    with pytest.raises(WrongUseError, match="expected one of the levels nominal, ordinal, interval, found 'ratio'"):
        measure_alpha(table(*BINARY), "ratio")  # type: ignore[arg-type]


def test_wide_and_long_are_the_same_table(tmp_path: Path) -> None:
    (wide,) = read_annotation_tables(write(tmp_path, "id,ann,bob", "7,1,0", "8,,1", "9,0,0"))
    (long,) = read_annotation_tables(
        write(tmp_path, "annotator,item,label", "bob,9,0", "ann,7,1", "ann,9,0", "bob,7,0", "bob,8,1", "ann,8,")
    )
    assert (wide.task, long.task) == ("votes", "label")
    for each in (wide, long):
        assert each.items.tolist() == ["7", "8", "9"]
        assert each.annotators.tolist() == ["ann", "bob"]
        assert each.labels.tolist() == [["1", "0"], ["", "1"], ["0", "0"]]


def test_several_tasks(tmp_path: Path) -> None:
    lines = ["tweet_id,annotator,text_is_represented,image_adds", "1,ann,1,0", "1,bob,1,1", "2,ann,0,0", "2,bob,,0"]
    text, image = read_annotation_tables(write(tmp_path, *lines))
    assert (text.task, image.task) == ("text_is_represented", "image_adds")
    assert (text.labels.tolist(), image.labels.tolist()) == ([["1", "1"], ["0", ""]], [["0", "1"], ["0", "0"]])
    split = read_annotation_tables(write(tmp_path, "task,item,ann,bob", "text,1,1,0", "image,1,0,0", "text,2,0,0"))
    assert [each.task for each in split] == ["text", "image"]
    assert split[0].labels.tolist() == [["1", "0"], ["0", "0"]]
    named = read_annotation_tables(write(tmp_path, "task,item,annotator,label", "text,1,ann,1", "image,1,ann,0"))
    assert [each.task for each in named] == ["text", "image"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("ann,bob", "1,0"), "found in {path} the columns ann, bob"),
        (("item,ann", "1,0"), "found in {path} the columns item, ann"),
        (("item,annotator", "1,ann"), "found in {path} the columns item, annotator"),
        (("item,ann,bob",), "found in {path} no row below the header"),
        (("item,ann,bob", "1,0,1", "1,1,1"), "expected every item once a task in {path}, found '1' twice"),
        (("item,annotator,label", "1,ann,0", "1,ann,1"), "found two of annotator 'ann' for item '1': remove one"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, lines: tuple[str, ...], told: str) -> None:
    path = write(tmp_path, *lines)
    with pytest.raises(DataError) as caught:
        read_annotation_tables(path)
    assert told.format(path=path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_annotation_tables(tmp_path / "none.csv")
    path = tmp_path / "none.csv"
    assert str(caught.value) == f"expected an annotation table at {path}, it cannot be read: No such file or directory"
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(DataError, match=r"expected a CSV with a header: .* cannot be read as one: "):
        read_annotation_tables(empty)
