"""What a data set may be called: its name becomes part of files' names."""

import re
from hashlib import sha256

from itrp.errors import WrongUseError

MAX_NAME = 128
"""Longest name of a data set."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that no file has on Windows, where a work folder may be copied to."""


def check_data_name(name: str) -> str:
    """The name itself where a new data set may have it. Raises WrongUseError."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise WrongUseError(f"expected a name of 1 to {MAX_NAME} printable characters, found {name[:80]!r}")
    if not _is_file_name(name):
        raise WrongUseError(
            f"expected a name that can be a file's (no slash, no backslash, no dot or blank at either end, none of Windows' such "
            f"as NUL), found {name!r}: choose another, for example {_suggest(name)}"
        )
    return name


def name_file(name: str) -> str:
    """What stands for a data set in a file's name: its own where it can, a hash where earlier versions allowed more."""
    return name if _is_file_name(name) else f"data-{sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:16]}"


def _is_file_name(name: str) -> bool:
    strange = re.search(r"[/\\]", name) or not name.isprintable() or len(name.encode()) > 200
    return not (strange or name != name.strip(" .") or _RESERVED.fullmatch(name))


def _suggest(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40].lower() + "-tweets"
