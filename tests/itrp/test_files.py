"""A file is whole, or not there, whoever writes it and however that ends."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from itrp.files import place_folder, write_atomically
from tests.disk import record_disk


def test_a_file_appears_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with write_atomically(path) as draft:
        draft.write_text("half")
        assert not path.exists()
        draft.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with write_atomically(path) as draft:
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
        with write_atomically(path) as draft, draft.open("w") as file:
            for start in range(0, len(text), 1000):
                file.write(text[start : start + 1000])
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(write, texts * 4))
    assert set(seen) <= set(texts)
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_is_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record_disk(monkeypatch)
    with write_atomically(tmp_path / "a" / "b" / "file") as draft:
        draft.write_text("whole")
    top = tmp_path.name
    assert calls == [("sync", top), ("sync", "a"), ("sync", draft.name), ("rename", "file"), ("sync", "b")]


def test_a_folder_is_on_the_disk_before_it_has_its_name_and_the_name_is_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = tmp_path / "draft"
    (draft / "inner").mkdir(parents=True)
    (draft / "inner" / "file").write_text("x")
    calls = record_disk(monkeypatch)
    place_folder(draft, tmp_path / "round")
    assert calls == [
        ("sync", "inner"), ("sync", "file"), ("sync", "draft"), ("rename", "round"), ("sync", tmp_path.name)
    ]  # fmt: skip
    assert (tmp_path / "round" / "inner" / "file").read_text() == "x"


def test_a_finished_folder_is_not_replaced(tmp_path: Path) -> None:
    for name in ("draft", "round"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError, match="not empty"):
        place_folder(tmp_path / "draft", tmp_path / "round")
    assert (tmp_path / "round" / "file").read_text() == "round"
