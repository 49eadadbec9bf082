"""Which columns of a file of human labels hold what: named by the user, or guessed from the names people use."""

from collections.abc import Iterable, Mapping, Sequence

from itrp.datasets.table_columns import USUAL_NAMES
from itrp.errors import ColumnError, DataError
from itrp.labels import Task

QUEUES = ("random", "least-certain", "disagree", "clusters", "errors", "browse", "import")
"""Where a person met the tweet. Labels of the first alone may measure: all others were chosen."""

ROLES: dict[str, tuple[str, ...]] = {
    "id": USUAL_NAMES["id"],
    "text_is_represented": (
        "human_text_is_represented", "text_is_represented", "text_represented", "is_text_represented", "represented",
        "text_is_represented_label", "text_task", "text_label", "label_text",
    ),
    "image_adds": (
        "human_image_adds", "image_adds", "adds", "image_adds_label", "picture_adds", "image_task", "image_label",
        "label_image",
    ),
    "relation": ("human_relation", "relation", "relation_code", "text_image_relation", "image_text_relation"),
    "person": ("person", "annotator", "annotator_id", "coder", "rater", "labeller", "labeler", "completed_by", "worker"),
    "queue": ("queue",),
    "seconds": ("seconds", "lead_time", "duration"),
    "guideline": ("guideline", "guidelines"),
    "note": ("note", "notes", "comment", "comments", "remark", "remarks"),
}  # fmt: skip
"""Role -> usual names, the most telling first; `human_…` are those of `itrp export`."""

ANSWERS: dict[str, Task] = {
    "text_is_represented": Task.TEXT,
    "image_adds": Task.IMAGE,
    "relation": Task.IMAGE_TEXT,
}
"""Roles that hold an answer, and to what."""
_OF_A_MODEL = ("text_is_represented_probability", "image_adds_probability", "text_version", "image_version")


def find_roles(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Role -> column, of those there are. given: role -> the column that a person names.

    Raises ColumnError where the id or every answer is missing, DataError where the answers are a model's.
    """
    found = {role: column for role in ROLES if (column := _find_column(role, names, given))}
    if "id" not in found:
        raise ColumnError(
            f"expected a column with the tweets' ids, found {list_names(names)}: say which with --column id=NAME"
        )
    answers = [role for role in ANSWERS if role in found]
    if not answers:
        raise ColumnError(
            f"expected a column text_is_represented, image_adds or relation, found {list_names(names)}: say which with, for "
            "example, --column image_adds=NAME"
        )
    if answers != ["relation"]:
        found.pop("relation", None)  # it says the same once more
    _refuse_model(names, [found[role] for role in ANSWERS if role in found and role not in given])
    return found


def find_settled(roles: Mapping[str, str]) -> frozenset[Task]:
    """Tasks whose answers stand in columns that `itrp export` writes settled labels to."""
    tasks = [ANSWERS[role] for role, column in roles.items() if role in ANSWERS and column.startswith("human_")]
    return frozenset((Task.TEXT, Task.IMAGE) if Task.IMAGE_TEXT in tasks else tasks)


def check_given(given: Mapping[str, str]) -> None:
    """Raises ColumnError for a role that does not exist."""
    if unknown := [role for role in given if role not in ROLES]:
        raise ColumnError(f"expected one of {', '.join(ROLES)} before the =, found {unknown[0][:40]!r}")


def list_names(names: Iterable[str]) -> str:
    """Column names for people."""
    return ", ".join(name or "(no name)" for name in names)[:400] or "none"


def _find_column(role: str, names: Sequence[str], given: Mapping[str, str]) -> str | None:
    if role in given:
        if given[role] not in names:
            raise ColumnError(f"expected the column {given[role]!r} for {role}, found {list_names(names)}")
        return given[role]
    simple = {_simplify(name): name for name in reversed(names)}
    return next((simple[key] for key in map(_simplify, ROLES[role]) if key in simple), None)


def _refuse_model(names: Sequence[str], answers: Sequence[str]) -> None:
    traces = [name for name in names if name in _OF_A_MODEL]
    guessed = [name for name in answers if not name.startswith("human_")]
    if traces and guessed:
        raise DataError(
            f"expected people's labels, found a model's: the file has a column {traces[0]} beside {guessed[0]}. Give people's "
            f"labels columns of their own, for example human_{guessed[0].removeprefix('human_')}, as itrp export does"
        )


def _simplify(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
