"""Which columns of a table hold what: named by the user, or guessed from the names collectors and public sets use."""

from collections.abc import Mapping, Sequence
from typing import Any

from itrp.data.times import parse_time
from itrp.errors import ColumnError

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("tweet_id", "id_str", "id", "status_id", "status_id_str", "tweet_id_str", "post_id"),
    "text": (
        "text", "full_text", "tweet", "tweet_text", "raw_content", "content", "body", "caption", "sentence", "post_text",
    ),
    "image": (
        "image", "image_path", "image_file", "image_name", "local_image", "local_path", "img", "img_path", "media_path",
        "media_file", "media_files", "photo", "photo_path", "picture", "picture_path", "file_name", "file_path", "path",
    ),
    "created_at": ("created_at", "date", "timestamp", "datetime", "created", "time", "timestamp_utc", "published_at"),
    "lang": ("lang", "language"),
    "text_is_represented": ("text_is_represented",),
    "image_adds": ("image_adds",),
    "split": ("split",),
}  # fmt: skip
"""Role -> usual names, the most telling first: of twarc-csv, Hydrator, snscrape, twint, 4CAT, minet, ITR, Kaggle's sets."""

NEEDED = ("id", "text", "image")
ASKED = (*NEEDED, "created_at")
"""Roles that have an option of their own."""
MEANING = {"id": "the tweets' ids", "text": "the texts", "image": "the image files", "created_at": "the times"}


def find_candidates(
    names: Sequence[str], given: Mapping[str, str | None], needed: Sequence[str] = NEEDED
) -> dict[str, list[str]]:
    """Role -> columns that may hold it, the likeliest first. Raises ColumnError for a role that is needed and has none."""
    found: dict[str, list[str]] = {}
    for role, usual in USUAL_NAMES.items():
        simple = {_simplify(name): name for name in names}
        wanted = given.get(role)
        if wanted is None:
            found[role] = [simple[key] for key in dict.fromkeys(map(_simplify, usual)) if key in simple]
        else:
            found[role] = [wanted] if wanted in names else []
        if not found[role] and (role in needed or wanted is not None):
            named = f" {wanted!r}" if wanted is not None else ""
            raise ColumnError(
                f"expected a column{named} with {MEANING[role]}, found the columns {_list(names)}: say which with "
                f"{_option(role)}"
            )
        if twice := [name for name in found[role] if [*map(_simplify, names)].count(_simplify(name)) > 1]:
            raise ColumnError(
                f"expected one column {twice[0]!r}, found several among {_list(names)}: rename the others"
            )
    return found


def choose_column(role: str, candidates: Mapping[str, Sequence[Any]]) -> str | None:
    """The column of a role: the first of those that hold anything, where they all say the same; None without one.

    Raises ColumnError where they differ.
    """
    filled = {name: values for name, values in candidates.items() if any(value not in (None, "") for value in values)}
    if not filled:
        return next(iter(candidates), None)
    first, *others = filled
    told = [_read(role, value) for value in filled[first]]
    for other in others:
        row = next((row for row, value in enumerate(filled[other]) if _read(role, value) != told[row]), None)
        if row is None:
            continue
        if role not in ASKED:
            return None
        raise ColumnError(
            f"expected one column with {MEANING[role]}, found {_list([*filled])}, which differ, first in row {row + 1}: "
            f"say which with {_option(role)}"
        )
    return first


def _read(role: str, value: Any) -> Any:
    """What a value says, so that the same time in two forms is the same."""
    return (parse_time(value) or value) if role == "created_at" else None if value is None else str(value)


def _option(role: str) -> str:
    return f"--{role.replace('_', '-')} COLUMN"


def _simplify(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _list(names: Sequence[str]) -> str:
    return ", ".join(name or "(no name)" for name in names)[:600] or "none"
