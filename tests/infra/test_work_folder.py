"""The work folder: made private, left as open as its owner has it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.settings import Settings
from infra.work_folder import keep_private, make_work_folder, open_to


def test_a_work_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError) as caught:
        make_work_folder(Settings(work_dir=tmp_path / "file/work"))
    assert str(caught.value) == (
        f"ITRP_WORK_DIR: expected a folder that can be written, found {tmp_path}/file/work (Not a directory): "
        "set it to another folder"
    )


@pytest.fixture
def mask() -> Iterator[Callable[[], int]]:
    """Reads the process's umask, which is the usual one at first and is put back afterwards."""
    before = os.umask(0o022)

    def read() -> int:
        found = os.umask(0)
        os.umask(found)
        return found

    yield read
    os.umask(before)


def test_a_new_work_folder_is_for_its_user_alone(tmp_path: Path, mask: Callable[[], int]) -> None:
    settings = Settings(work_dir=tmp_path / "new/work")
    make_work_folder(settings)
    assert settings.work_dir.stat().st_mode & 0o777 == 0o700
    assert mask() == 0o022, "whoever uses the library keeps the umask of their process"
    keep_private(settings)
    (settings.work_dir / "tweets").write_text("")
    assert (settings.work_dir / "tweets").stat().st_mode & 0o777 == 0o600


def test_nothing_is_shared_before_there_is_a_work_folder(tmp_path: Path, mask: Callable[[], int]) -> None:
    keep_private(Settings(work_dir=tmp_path / "new"))
    assert mask() == 0o077


@pytest.mark.parametrize(
    ("mode", "told"), [(0o700, ""), (0o750, "its group"), (0o755, "everybody"), (0o701, "everybody")]
)
def test_a_work_folder_its_owner_has_opened_stays_open(
    tmp_path: Path, mask: Callable[[], int], mode: int, told: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work").chmod(mode)
    settings = Settings(work_dir=tmp_path / "work")
    make_work_folder(settings)
    keep_private(settings)
    assert open_to(settings.work_dir) == told
    assert settings.work_dir.stat().st_mode & 0o777 == mode
    assert mask() == (0o022 if told else 0o077)


def test_an_open_object_store_elsewhere_stays_open(tmp_path: Path, mask: Callable[[], int]) -> None:
    (tmp_path / "objects").mkdir(mode=0o755)
    keep_private(Settings(work_dir=tmp_path / "work", object_store_url=(tmp_path / "objects").as_uri()))
    assert mask() == 0o022
