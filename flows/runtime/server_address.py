"""Is a Prefect server configured? Answered without importing Prefect, which takes seconds."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from infra.errors import SettingsError

VARIABLE = "PREFECT_API_URL"


def find_server() -> str | None:
    """The address of the configured Prefect server, None where there is none: commands then do their work without Prefect.

    Read as Prefect reads it: the environment, then `.env`, `prefect.toml` and `pyproject.toml` of the working directory, then
    the active profile. Where Prefect is loaded already, it knows best. Raises SettingsError for a file that is no TOML.
    """
    if "prefect" in sys.modules:
        from prefect.settings import get_current_settings

        return get_current_settings().api.url or None
    for found in (
        os.environ.get(VARIABLE),
        _read_dotenv().get(VARIABLE),
        _find(_read_toml(Path("prefect.toml")), "api", "url"),
        _find(_read_toml(Path("pyproject.toml")), "tool", "prefect", "api", "url"),
        _read_profile().get(VARIABLE),
    ):
        if found is not None:
            return found or None  # set to nothing, it hides what the later ones say
    return None


def _read_profile() -> dict[str, Any]:
    """The settings of the active profile; none where Prefect's own profiles apply: its default one names no server."""
    try:
        profiles = _read_toml(_find_profiles())
    except SettingsError:  # Prefect warns of it and goes on without
        return {}
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    profile = _find(profiles, "profiles", str(active))
    return profile if isinstance(profile, dict) else {}


def _find_profiles() -> Path:
    """The file of the user's profiles, whether it is there or not."""
    chosen = (
        os.environ.get("PREFECT_PROFILES_PATH")
        or _read_dotenv().get("PREFECT_PROFILES_PATH")
        or _find(_read_toml(Path("prefect.toml")), "profiles_path")
        or _find(_read_toml(Path("pyproject.toml")), "tool", "prefect", "profiles_path")
    )
    if chosen:
        return Path(chosen)
    home = os.environ.get("PREFECT_HOME")
    return (Path(home) if home else Path.home() / ".prefect") / "profiles.toml"


def _read_dotenv() -> dict[str, str | None]:
    if not Path(".env").is_file():
        return {}
    from dotenv import dotenv_values  # comes with Prefect

    return dict(dotenv_values(".env"))


def _read_toml(path: Path) -> dict[str, Any]:
    """The file's content; nothing where there is no file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: expected TOML with Prefect's settings, found: {error}; correct it") from None


def _find(tree: dict[str, Any], *keys: str) -> Any:
    """What stands under these keys, None where nothing does."""
    found: Any = tree
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
