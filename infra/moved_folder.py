"""A work folder that was moved or copied: the absolute places in its MLflow database follow it."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from infra.errors import SettingsError
from infra.settings import Settings

logger = logging.getLogger(__name__)

ARTIFACTS = "mlflow-artifacts"
"""Folder of the artifacts in a work folder; used where there is no MLflow server."""

BUSY_SECONDS = 600
"""How long one process waits for another that brings artifacts along."""

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns in which MLflow keeps addresses of artifacts."""


def follow_move(settings: Settings) -> None:
    """Let the database of a work folder that lies elsewhere now name the artifacts in this folder, and no others.

    A copy changes its own database alone. Artifacts that exist only in the former place (earlier versions wrote them there)
    are copied. Any number of processes may call this at once; where nothing moved it costs one small query. A database
    outside the work folder is left alone: several work folders may share it. Raises SettingsError.
    """
    here = (settings.work_dir / ARTIFACTS).as_uri()
    try:
        database = _find_database(settings)
        if database is None:
            return
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            if any(_former_places(connection, here)):
                _move_places(connection, here)
    except (sqlite3.DatabaseError, OSError) as error:
        raise SettingsError(
            f"ITRP_MLFLOW_URI: expected MLflow's database in {settings.work_dir}, found: {error}; make it readable and "
            "writable, or put a whole copy there"
        ) from None


def _find_database(settings: Settings) -> Path | None:
    """MLflow's file where it lies in the work folder."""
    prefix = "sqlite:///"
    if not settings.mlflow_uri.startswith(prefix):
        return None
    path = Path(settings.mlflow_uri.removeprefix(prefix).partition("?")[0])
    inside = path.resolve().is_relative_to(settings.work_dir.resolve())
    return path if inside and path.is_file() else None


def _former_places(connection: sqlite3.Connection, here: str) -> Iterator[str]:
    """Other addresses of a work folder's artifacts that experiments name."""
    if ("experiments", "artifact_location") not in _list_columns(connection, ["experiments"]):
        return
    query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file:%' AND artifact_location != ?"
    for (place,) in connection.execute(query, (here,)).fetchall():
        if place.endswith(f"/{ARTIFACTS}") and not _is_same(_path_of(place), _path_of(here)):
            yield place


def _move_places(connection: sqlite3.Connection, here: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        columns = _list_columns(connection, [table for table, _ in _PLACES])
        for former in _former_places(connection, here):  # asked again: another process may have been quicker
            _bring_missing(connection, former, here, columns)
            for table, column in columns & {*_PLACES}:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here, len(former) + 1, former, len(former) + 1, f"{former}/"),
                )
            logger.info("the work folder was at %s: its artifacts are %s now", _path_of(former).parent, here)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _bring_missing(connection: sqlite3.Connection, former: str, here: str, columns: set[tuple[str, str]]) -> None:
    """Copy the artifacts of runs and models that lie in the former place and not here."""
    for table, column in {("runs", "artifact_uri"), ("logged_models", "artifact_location")} & columns:
        for (place,) in connection.execute(f"SELECT {column} FROM {table}").fetchall():
            if (place or "").startswith(f"{former}/"):
                _copy_missing(_path_of(place), _path_of(here + place.removeprefix(former)))


def _copy_missing(source: Path, target: Path) -> None:
    try:
        if target.exists() or not source.exists():
            return
        logger.info("%s lies only at the former place %s: copied", target, source)
        draft = target.with_name(f".{target.name}.{uuid4().hex}.draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(source, draft)
            draft.replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        logger.warning("%s is missing, and cannot be copied from %s: %s", target, source, error)


def _list_columns(connection: sqlite3.Connection, tables: list[str]) -> set[tuple[str, str]]:
    """(table, column) of those tables that are there: other versions of MLflow have others."""
    return {(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})").fetchall()}


def _path_of(place: str) -> Path:
    return Path(unquote(urlsplit(place).path))


def _is_same(one: Path, other: Path) -> bool:
    """Two names of one folder, such as a symbolic link to it: both lead to the artifacts."""
    try:
        return one.samefile(other)
    except OSError:
        return False
