"""Captions rated by three people: means and medians, ids, splits by image, and what is rejected."""

from pathlib import Path

import numpy as np
import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import MissingImageError
from itrp.datasets.rated_captions import RatedCaptions
from itrp.errors import DataError
from itrp.labels import Task
from tests.itrp.datasets.caption_files import paint, write_captions

REAL = Path(__file__).parents[3].parent / "shared/data/captions_rated"
COLUMNS = ("image", "text", "rating_1", "rating_2", "rating_3")


def open_rows(folder: Path, *rows: tuple[object, ...], images: int = 3) -> RatedCaptions:
    pictures = {f"images/{number}.jpg": paint(number) for number in range(1, images + 1)}
    return RatedCaptions(write_captions(folder, COLUMNS, rows, pictures))


def test_the_mean_is_kept_and_the_median_makes_the_label(tmp_path: Path) -> None:
    source = open_rows(
        tmp_path,
        ("images/1.jpg", "a", 1, 1, 4),  # mean 2, median 1
        ("images/1.jpg", "b", 1, 2, 2),  # mean 5/3, median 2
        ("images/2.jpg", "c", 4, 3, 4),
        ("images/2.jpg", "d", "1.0", " 1", 1),
    )
    annotations = source.annotations()
    np.testing.assert_allclose(annotations.rating, [2, 5 / 3, 11 / 3, 1], rtol=1e-6)
    assert annotations.labels(Task.TEXT).tolist() == [0, 1, 1, 0]
    assert annotations.labels(Task.TEXT, corrected=True).tolist() == [0, 1, 1, 0]
    assert annotations.labels(Task.IMAGE).tolist() == [-1] * 4
    assert not annotations.controversial.any()


def test_ids_tell_the_image_and_the_row(tmp_path: Path) -> None:
    source = open_rows(tmp_path, ("images/1.jpg", "a", 1, 1, 1), ("sub/ä b.jpg", "b", 1, 1, 1), ("1.jpg", "c", 1, 1, 1))
    records = list(source.candidates())
    assert all(isinstance(record, Candidate) for record in records)
    assert [(record.line, record.id, record.text) for record in records if isinstance(record, Candidate)] == [
        (1, "1-1", "a"), (2, "__b-2", "b"), (3, "1-3", "c"),
    ]  # fmt: skip
    assert source.annotations().ids.tolist() == ["1-1", "__b-2", "1-3"]


def test_images_lie_in_the_folder_or_in_its_images(tmp_path: Path) -> None:
    source = open_rows(tmp_path, ("images/1.jpg", "a", 1, 1, 1))
    (tmp_path / "top.jpg").write_bytes(b"top")
    assert source.read_image("images/1.jpg") == source.read_image("1.jpg") == paint(1)
    assert source.read_image("top.jpg") == b"top"
    with pytest.raises(MissingImageError, match=r"9\.jpg"):
        source.read_image("9.jpg")


def test_all_pairs_of_one_image_are_in_one_split_by_its_content(tmp_path: Path) -> None:
    rows = [(f"images/{number}.jpg", f"text {row}", 1, 2, 3) for number in range(1, 61) for row in range(4)]
    split = open_rows(tmp_path / "a", *rows, images=60).annotations().split.reshape(60, 4)
    assert all(len(set(of_image)) == 1 for of_image in split.tolist())
    assert 20 <= (split[:, 0] == "train").sum() <= 40
    # under another name and in another order the same image is in the same split
    renamed = {f"renamed-{number}.jpg": paint(number) for number in range(1, 61)}
    again = [(f"renamed-{number}.jpg", "text", 1, 2, 3) for number in range(60, 0, -1)]
    found = RatedCaptions(write_captions(tmp_path / "b", COLUMNS, again, renamed)).annotations().split
    assert found.tolist() == split[::-1, 0].tolist()


@pytest.mark.parametrize(
    ("rating", "found"),
    [(0, "'0'"), (5, "'5'"), ("", "nothing"), ("2.5", "'2.5'"), ("two", "'two'"), ("-1", "'-1'"), ("nan", "'nan'")],
)
def test_a_rating_from_elsewhere_is_rejected(tmp_path: Path, rating: object, found: str) -> None:
    source = open_rows(tmp_path, ("images/1.jpg", "a", 1, 2, 3), ("images/1.jpg", "b", 2, rating, 3))
    first, second = source.candidates()
    assert isinstance(first, Candidate)
    assert isinstance(second, Rejection)
    assert (second.line, second.code, second.id) == (2, "rating_invalid", "1-2")
    assert f"expected a rating from 1 to 4 in rating_2, found {found} in row 2" in second.reason
    assert source.annotations().text.tolist() == [1, -1]
    assert np.isnan(source.annotations().rating[1])


def test_a_path_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    source = open_rows(tmp_path, ("../x.jpg", "a", 1, 2, 3), ("images/1.jpg", "b", 1, 2, 3))
    first, second = source.candidates()
    assert isinstance(first, Rejection)
    assert (first.code, first.id) == ("image_key_invalid", "no-image-1")
    assert isinstance(second, Candidate)
    assert source.annotations().ids.tolist() == ["no-image-1", "1-2"]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected pairs.csv and images/ in .*give the folder that holds both"):
        RatedCaptions(tmp_path)
    write_captions(tmp_path, COLUMNS[:-1], [("1.jpg", "a", 1, 2)], {})
    with pytest.raises(DataError, match=r"expected the columns image, text, rating_1.*: add rating_3"):
        RatedCaptions(tmp_path)
    write_captions(tmp_path, COLUMNS, [], {})
    with pytest.raises(DataError, match="found only a header"):
        RatedCaptions(tmp_path)


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout")
def test_real_ratings() -> None:
    source = RatedCaptions(REAL)
    records = list(source.candidates())
    assert len(records) == 2961
    assert all(isinstance(record, Candidate) for record in records)
    assert len({record.id for record in records}) == 2961
    annotations = source.annotations()
    assert 1 <= annotations.rating.min() < annotations.rating.max() <= 4
    assert 0.4 < (annotations.split == "train").mean() < 0.6
    assert 0.2 < annotations.text.mean() < 0.5
