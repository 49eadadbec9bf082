"""Captions with matched margins: each with its own photograph and with another's."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.datasets.captions_match import MatchedCaptions, draw_others
from itrp.errors import DataError
from tests.itrp.datasets.caption_files import paint, write_captions

REAL = Path(__file__).parents[3].parent / "shared/data/captions_match"
COLUMNS = ("image", "text", "text_is_represented")


def open_photographs(folder: Path, count: int, *more: tuple[object, ...]) -> MatchedCaptions:
    """Each photograph with its own caption and, as a row that is not read, with another one."""
    rows = [
        row
        for number in range(1, count + 1)
        for row in ((f"{number}.jpg", f"own {number}", 1), (f"{number}.jpg", f"of nothing {number}", 0))
    ]
    images = {f"images/{number}.jpg": paint(number) for number in range(1, count + 1)}
    return MatchedCaptions(write_captions(folder, COLUMNS, [*rows, *more], images))


def list_pairs(source: MatchedCaptions) -> list[Candidate]:
    return [record for record in source.candidates() if isinstance(record, Candidate)]


@pytest.mark.parametrize("count", [2, 3, 4, 15, 40])
def test_every_caption_and_every_photograph_is_once_matched_and_once_not(tmp_path: Path, count: int) -> None:
    source = open_photographs(tmp_path, count)
    pairs, labels = list_pairs(source), source.annotations().text.tolist()
    assert len(pairs) == len(labels) == 2 * count
    by_text, by_image = defaultdict(list), defaultdict(list)
    for pair, label in zip(pairs, labels, strict=True):
        by_text[pair.text].append(label)
        by_image[pair.image_key].append(label)
        assert label == (str(pair.text) == f"own {str(pair.image_key).removesuffix('.jpg')}")
    assert {tuple(sorted(found)) for found in (*by_text.values(), *by_image.values())} == {(0, 1)}
    assert len(by_text) == len(by_image) == count


def test_photographs_that_exchange_captions_are_in_one_split(tmp_path: Path) -> None:
    source = open_photographs(tmp_path, 41)
    split = source.annotations().split
    for side in ("text", "image_key"):
        splits = defaultdict(set)
        for pair, name in zip(list_pairs(source), split.tolist(), strict=True):
            splits[getattr(pair, side)].add(name)
        assert {len(found) for found in splits.values()} == {1}
    assert 0.2 < (split == "train").mean() < 0.8


def test_the_same_pairs_every_time(tmp_path: Path) -> None:
    first, again = open_photographs(tmp_path, 20), MatchedCaptions(tmp_path)
    assert list(first.candidates()) == list(again.candidates())
    ids = [pair.id for pair in list_pairs(first)]
    assert len({*ids}) == 40
    assert ids[0] == "1-1-own"
    assert str(ids[1]).endswith("-1-other")
    assert first.annotations().ids.tolist() == ids
    assert [pair.line for pair in list_pairs(first)] == list(range(1, 41))
    assert first.annotations().image.tolist() == [-1] * 40
    assert not first.annotations().is_rated


def test_what_is_rejected_takes_part_in_no_exchange(tmp_path: Path) -> None:
    source = open_photographs(
        tmp_path, 6,
        ("7.jpg", "no such file", 1), ("1.jpg", " ", 1), ("../8.jpg", "elsewhere", 1), ("1.jpg", "a second caption", 1),
    )  # fmt: skip
    records = list(source.candidates())
    rejections = [record for record in records if isinstance(record, Rejection)]
    assert [(each.line, each.code, each.id) for each in rejections] == [
        (13, "image_missing", "7-13-own"), (14, "text_empty", "1-14-own"),
        (15, "image_key_invalid", "no-image-15-own"), (16, "id_conflict", "1-16-own"),
    ]  # fmt: skip
    assert (
        "expected one caption of its own a photograph, found a second one in row 16 after row 1" in rejections[3].reason
    )
    assert len(list_pairs(source)) == 12
    assert {pair.image_key for pair in list_pairs(source)} == {f"{number}.jpg" for number in range(1, 7)}
    assert source.annotations().text.tolist() == [1, 0] * 6 + [-1] * 4


def test_the_report_is_told_how_the_pairs_were_made(tmp_path: Path) -> None:
    made, left = open_photographs(tmp_path, 6, ("7.jpg", "no such file", 1)).notes
    assert made.startswith("made 12 pairs of 6 photographs: every caption with its own photograph")
    assert "drawn with the seed 0" in made
    assert left == "not read: 6 rows whose caption is not the photograph's own (text_is_represented 0)"


def test_others_are_exchanged_and_never_read_the_same() -> None:
    texts = ["A dog", "a  dog", *(f"text {number}" for number in range(9))]
    for seed in range(30):
        others = draw_others(texts, seed)
        assert sorted(others) == list(range(11))
        assert {others[0], others[1]}.isdisjoint({0, 1})
        back = np.array(others)[others]
        assert (back == np.arange(11)).sum() == 8, "all but three exchange with one another"
    assert draw_others(texts, 0) != draw_others(texts, 1)


def test_too_little_to_exchange(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least two rows of .* with text_is_represented = 1.*found 1"):
        open_photographs(tmp_path / "a", 1)
    rows, images = [("1.jpg", "same", 1), ("2.jpg", "Same", 1)], {"1.jpg": paint(1), "2.jpg": paint(2)}
    same = MatchedCaptions(write_captions(tmp_path / "b", COLUMNS, rows, images))
    with pytest.raises(DataError, match=r"photographs whose captions differ.*found 1 captions of 2 usable photographs"):
        list(same.candidates())
    with pytest.raises(
        DataError, match=r"expected 1 or 0 in the column text_is_represented of .*, found 'yes' in row 2"
    ):
        MatchedCaptions(write_captions(tmp_path / "c", COLUMNS, [("1.jpg", "a", 1), ("2.jpg", "b", "yes")], {}))


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout")
def test_real_captions_do_not_leak() -> None:
    source = MatchedCaptions(REAL)
    pairs, labels = list_pairs(source), source.annotations().text
    assert len(pairs) == len(labels) == 800
    dogs = np.array(["dog" in str(pair.text).lower().split() for pair in pairs])
    assert dogs[labels == 1].mean() == dogs[labels == 0].mean()
