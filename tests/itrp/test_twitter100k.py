"""Twitter100k's layout."""

from pathlib import Path

import pytest

from itrp.checks import check_candidate
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import DataError
from itrp.pairs import Candidate, Pair, Refusal
from itrp.refusals import MissingPictureError

REAL = Path(__file__).parents[2].parent / "shared/data/twitter100k_layout"


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
    codes = [check_candidate(c, source.read_picture) for c in source.candidates() if isinstance(c, Candidate)]
    assert [c.code for c in codes if isinstance(c, Refusal)] == [
        "image_missing", "image_missing", "text_empty", "image_missing", "text_not_utf8", "image_missing",
    ]  # fmt: skip


def test_pictures(folder: Path) -> None:
    (folder / "images/1.jpg").write_bytes(b"bytes")
    source = Twitter100kFolder(folder)
    assert source.read_picture("images/1.jpg") == b"bytes"
    with pytest.raises(MissingPictureError):
        source.read_picture("images/2.jpg")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no text\.txt"):
        Twitter100kFolder(tmp_path)
    (tmp_path / "text.txt").touch()
    with pytest.raises(DataError, match="found no images/"):
        Twitter100kFolder(tmp_path)


def test_no_labels(folder: Path) -> None:
    assert Twitter100kFolder(folder).annotations() is None


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real tweets beside the checkout")
def test_real_tweets_all_pass() -> None:
    source = Twitter100kFolder(REAL)
    outcomes = [check_candidate(c, source.read_picture) for c in source.candidates() if isinstance(c, Candidate)]
    assert len(outcomes) == 1500
    assert all(isinstance(outcome, Pair) for outcome in outcomes)
