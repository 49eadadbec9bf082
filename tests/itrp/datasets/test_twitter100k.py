"""Twitter100k's layout."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.rejections import MissingImageError
from itrp.data.validation import check_candidate
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import DataError

REAL = Path(__file__).parents[3].parent / "shared/data/twitter100k_layout"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "text.txt").write_bytes("one\r\ntwo\u2028still two\x85\n\ncaf\xe9".encode() + b"\nbad \xff\nlast")
    return tmp_path


def test_line_i_belongs_to_picture_i(folder: Path) -> None:
    candidates = [*Twitter100kFolder(folder).candidates()]
    assert [(c.line, c.id, c.image_key) for c in candidates if isinstance(c, Candidate)] == [
        (n, str(n), f"images/{n}.jpg") for n in range(1, 7)
    ]
    texts = [c.text for c in candidates if isinstance(c, Candidate)]
    assert texts == ["one", "two\u2028still two\x85", "", "caf\xe9", b"bad \xff", "last"]


def test_only_the_bad_lines_are_refused(folder: Path) -> None:
    source = Twitter100kFolder(folder)
    codes = [check_candidate(c, source.read_image) for c in source.candidates() if isinstance(c, Candidate)]
    assert [c.code for c in codes if isinstance(c, Rejection)] == [
        "image_missing", "image_missing", "text_empty", "image_missing", "text_not_utf8", "image_missing",
    ]  # fmt: skip


def test_pictures(folder: Path) -> None:
    (folder / "images/1.jpg").write_bytes(b"bytes")
    source = Twitter100kFolder(folder)
    assert source.read_image("images/1.jpg") == b"bytes"
    with pytest.raises(MissingImageError):
        source.read_image("images/2.jpg")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no text\.txt"):
        Twitter100kFolder(tmp_path)
    (tmp_path / "text.txt").touch()
    with pytest.raises(DataError, match="found no images/"):
        Twitter100kFolder(tmp_path)


def test_no_labels(folder: Path) -> None:
    assert Twitter100kFolder(folder).annotations() is None


def write_layout(folder: Path, lines: list[str], images: Iterable[int], end: str = "\n") -> Twitter100kFolder:
    (folder / "images").mkdir(parents=True)
    (folder / "text.txt").write_text("\n".join(lines) + (end if lines else ""), encoding="utf-8")
    for number in images:
        (folder / f"images/{number}.jpg").write_bytes(b"bytes")
    return Twitter100kFolder(folder)


WORDS = ["red", "bike", "rain", "river", "gate", "market", "lamp", "sea", "train", "blue"]
TEN = [f"tweet number {n} about {word}" for n, word in enumerate(WORDS, 1)]
BROKEN = [*TEN[:3], "tweet number 4 has", "a line break about river", *TEN[4:]]


def test_one_line_too_many_is_refused_and_named(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "t", BROKEN, range(1, 11))
    with pytest.raises(
        DataError, match=r"11 lines for 10 images, .* line 5 \(a line break about river\) looks most like"
    ):
        next(source.candidates())
    assert len([*write_layout(tmp_path / "u", TEN, range(1, 11)).candidates()]) == 10


def test_the_line_that_lacks_a_link_before_it_is_named(tmp_path: Path) -> None:
    lines = [
        f"{word} and more of it http://t.co/{n}"
        for n, word in enumerate(["One", "RT", "so", "Ducks", "OMG", "I", "And", "when"])
    ]
    lines[3:4] = ["Ducks and", "More of it http://t.co/3"]
    with pytest.raises(DataError, match=r": line 5 \(More of it http://t\.co/3\) looks most like"):
        write_layout(tmp_path / "t", lines, range(1, 9)).check_counts()


@pytest.mark.parametrize(
    ("lines", "images", "told"),
    [
        (
            TEN,
            range(1, 12),
            r"10 lines for 11 images, .* a text was lost, or two stand on one line \(line 6 is the longest\)",
        ),
        (TEN, range(10), r"10 lines for 10 images, the last of them images/9\.jpg: images are numbered from 1 on"),
        (TEN, [1, 2, 5, 9], r"10 lines for 4 images, the last of them images/9\.jpg: no line looks broken"),
        ([], [1], r"0 lines for 1 images, .* a text was lost, or two stand on one line; give"),
    ],
    ids=["too few lines", "from zero", "last picture missing", "no line"],
)
def test_counts_that_do_not_fit_are_refused(tmp_path: Path, lines: list[str], images: Iterable[int], told: str) -> None:
    with pytest.raises(DataError, match=told):
        write_layout(tmp_path / "t", lines, images).check_counts()


def test_pictures_between_may_be_missing_and_blank_lines_may_follow(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "t", TEN, [2, 5, 10], end="\n\n  \n")
    assert [c.line for c in source.candidates()] == [*range(1, 13)]
    assert len([*write_layout(tmp_path / "u", TEN, [2, 10], end="").candidates()]) == 10


def test_a_mark_is_no_text_and_utf16_is_told(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "t", ["\ufeffone"], [1])
    assert [c.text for c in source.candidates() if isinstance(c, Candidate)] == ["one"]
    source.label_path.write_text("one\n", encoding="utf-16")
    with pytest.raises(DataError, match="found UTF-16: save it as UTF-8"):
        next(source.candidates())


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real tweets beside the checkout")
def test_real_tweets_all_pass() -> None:
    source = Twitter100kFolder(REAL)
    outcomes = [check_candidate(c, source.read_image) for c in source.candidates() if isinstance(c, Candidate)]
    assert len(outcomes) == 1500
    assert all(isinstance(outcome, Pair) for outcome in outcomes)
