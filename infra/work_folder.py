"""The work folder: made for its user alone, and kept private unless its owner has opened it."""

import os
from pathlib import Path

from infra.errors import SettingsError
from infra.moved_folder import follow_move
from infra.object_store import FolderAddress, parse_store_url
from infra.settings import Settings


def make_work_folder(settings: Settings) -> None:
    """Make sure there is one, for this user alone if it is new; where it was moved or copied, its places follow.

    Raises SettingsError.
    """
    try:
        settings.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"ITRP_WORK_DIR: expected a folder that can be written, found {settings.work_dir} ({error.strerror}): "
            "set it to another folder"
        ) from None
    follow_move(settings)


def keep_private(settings: Settings) -> None:
    """From here on this process's files are for its user alone (0600), as the work folder is.

    Where its owner has opened the work folder, or an object store outside of it, to others, files are as readable as the
    user has it.
    """
    folders = [settings.work_dir]
    objects = parse_store_url(settings.object_store_url)
    if isinstance(objects, FolderAddress) and not objects.folder.is_relative_to(settings.work_dir):
        folders.append(objects.folder)
    if not any(map(open_to, folders)):
        os.umask(0o077)


def open_to(folder: Path) -> str:
    """Who else may look into a folder: "its group", "everybody", or "" for its owner alone and where there is none."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return ""
    return "everybody" if mode & 0o007 else "its group" if mode & 0o070 else ""
