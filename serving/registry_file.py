"""MLflow's registry read from its SQLite file, for who must not wait the seconds that importing MLflow takes."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from os import W_OK, access
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

from serving.errors import NotFoundError, UnavailableError
from serving.registry import ModelVersion, Registry, parse_reference, read_version

PREFIX = "sqlite:///"
_DELETED = "Deleted_Internal"
"""What MLflow calls the stage of a version that was deleted."""


def open_quickly(uri: str, cache: Path) -> Registry:
    """A registry to read from: from its file where that is one of the installed MLflow's, else through MLflow itself.

    A file that is not there yet is an empty registry: MLflow makes it at the first training.
    """
    registry = RegistryFile(uri, cache)
    return registry if uri.startswith(PREFIX) and registry.is_known() else Registry(uri, cache)


class RegistryFile(Registry):
    """Reads versions and places from the tables that MLflow itself would read; writes nothing."""

    @property
    def path(self) -> Path:
        """The database's file."""
        return Path(self.uri.removeprefix(PREFIX).partition("?")[0])

    def is_known(self) -> bool:
        """Whether the file's tables are those that the installed MLflow expects, or there is no file yet."""
        if not self.path.exists():
            return True
        try:
            with self._connect() as connection:
                return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(find_revision(),)]
        except UnavailableError:  # MLflow says what is wrong with it
            return False

    def check(self) -> str:
        """How it is. Raises UnavailableError where it cannot be read, or MLflow could not write to it."""
        if not self.path.exists():
            if not self.path.parent.is_dir() or not access(self.path.parent, W_OK):
                raise UnavailableError(f"no file can be made in {self.path.parent}")
            return "is not there yet: the first command that needs it makes it"
        with self._connect() as connection:
            connection.execute("SELECT count(*) FROM experiments").fetchone()
        if not access(self.path, W_OK) or not access(self.path.parent, W_OK):
            raise UnavailableError(f"{self.path} cannot be written")
        return "answers"

    def resolve(self, reference: str) -> ModelVersion:
        """As `Registry.resolve`."""
        name, version, alias = parse_reference(reference)
        if self.path.exists():
            with self._connect() as connection:
                found = _read_row(connection, name, version or _follow(connection, name, alias))
            if found is not None:
                return found
        raise NotFoundError(f"no model is registered as {reference}")

    def place_of(self, version: ModelVersion) -> str:
        """As `Registry.place_of`."""
        query = "SELECT storage_location, source FROM model_versions WHERE name = ? AND version = ?"
        with self._connect() as connection:
            row = connection.execute(query, (version.name, int(version.version))).fetchone()
        return str((row and (row[0] or row[1])) or version.source)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=rw", uri=True, timeout=5)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise UnavailableError(
                f"MLflow's database {self.path} cannot be read: {error}; see `itrp doctor`"
            ) from None


def find_revision() -> str | None:
    """The revision of the installed MLflow's tables; None where its migrations are not as we know them."""
    package = find_spec("mlflow")
    if package is None or not package.submodule_search_locations:
        return None
    folder = Path(package.submodule_search_locations[0]) / "store" / "db_migrations" / "versions"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    revisions, followed = (
        {found for text in texts for found in re.findall(rf'^{name}\s*=\s*"(\w+)"', text, re.MULTILINE)}
        for name in ("revision", "down_revision")
    )
    heads = revisions - followed
    return heads.pop() if len(heads) == 1 else None


def _follow(connection: sqlite3.Connection, name: str, alias: str) -> str | None:
    row = connection.execute(
        "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (name, alias)
    ).fetchone()
    return str(row[0]) if row else None


def _read_row(connection: sqlite3.Connection, name: str, version: str | None) -> ModelVersion | None:
    if version is None:
        return None
    key = (name, int(version))
    query = "SELECT run_id, source FROM model_versions WHERE name = ? AND version = ? AND current_stage IS NOT ?"
    row = connection.execute(query, (*key, _DELETED)).fetchone()
    tags = connection.execute(
        "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", key
    ).fetchall()
    return row and read_version(
        SimpleNamespace(name=name, version=version, run_id=row[0], source=row[1], tags=dict(tags))
    )
