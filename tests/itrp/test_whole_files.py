"""A file is whole, or not there, whoever writes it and however that ends."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from itrp.whole_files import write_whole


def test_a_file_appears_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with write_whole(path) as draft:
        draft.write_text("half")
        assert not path.exists()
        draft.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with write_whole(path) as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_many_may_write_one_file_at_once(tmp_path: Path) -> None:
    """Each finishes, and readers see one of them, never a mixture."""
    path = tmp_path / "file"
    texts = [str(digit) * 100_000 for digit in range(8)]

    def write(text: str) -> str:
        with write_whole(path) as draft, draft.open("w") as file:
            for start in range(0, len(text), 1000):
                file.write(text[start : start + 1000])
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(write, texts * 4))
    assert set(seen) <= set(texts)
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]
