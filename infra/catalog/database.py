"""The catalog: one database (SQLite or PostgreSQL) that knows the shards, their origin and their labels."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.orm import Session, sessionmaker

from infra.catalog.words import HOLDS_WORDS, holds_words
from infra.errors import CatalogError, CatalogUnavailableError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30
"""How long one writer waits for another."""
MIGRATION_LOCK = 4_977_270_112
"""Key of the PostgreSQL advisory lock that a migrating process holds; an arbitrary number of ours."""


class Catalog:
    """A catalog by its URL. Connects when first used; safe to use from threads, not across a fork."""

    def __init__(self, url: str) -> None:
        self._url = _parse_url(url)
        self._engine = _make_engine(self._url)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    def __repr__(self) -> str:
        return f"Catalog({self.url!r})"

    @property
    def url(self) -> str:
        """The URL with the password hidden."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A unit of work: committed at the end of the block, rolled back when it raises.

        Rows stay readable afterwards. On SQLite the block holds the write lock from its first statement:
        keep it short. Raises CatalogError when the database does not answer.
        """
        with self._explaining(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A plain connection in one transaction, as `session`."""
        with self._explaining(), self._engine.begin() as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the tables to this version's form, or create them. Processes at once take turns."""
        self._create_folder()
        with self.connect() as connection:
            _lock_migrations(connection)
            if _revisions(connection) == _heads():
                return
            try:
                alembic.command.upgrade(alembic_config(connection), "head")
            except CommandError as error:
                raise self._foreign_revision(_revisions(connection)) from error

    def check(self) -> None:
        """Raise CatalogError, with the next step, unless the catalog answers and has this version's form."""
        path = self._file()
        if path and not path.exists():
            raise CatalogError(f"expected a catalog at {self.url}, found no file: {_MIGRATE}")
        with self.connect() as connection:
            found = _revisions(connection)
        if found == _heads():
            return
        known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
        if set(found) - known:
            raise self._foreign_revision(found)
        raise CatalogError(
            f"expected the catalog {self.url} at revision {_name(_heads())}, found {_name(found)}: {_MIGRATE}"
        )

    def dispose(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _foreign_revision(self, found: tuple[str, ...]) -> CatalogError:
        return CatalogError(
            f"expected the catalog {self.url} at revision {_name(_heads())} or older, found {_name(found)}, "
            "from a newer itrp: upgrade itrp, or set ITRP_CATALOG_URL to another catalog"
        )

    def _file(self) -> Path | None:
        """SQLite's file; None for a server or a database in memory."""
        if self._url.get_backend_name() != "sqlite" or self._url.database in (None, "", ":memory:"):
            return None
        return Path(str(self._url.database))

    def _create_folder(self) -> None:
        path = self._file()
        if not path:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(
                f"expected a folder that can be written at {path.parent}, found: {error.strerror}; "
                "correct ITRP_CATALOG_URL or ITRP_WORK_DIR"
            ) from error

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if not _is_outage(error):
                raise
            reason = _without_password(" ".join(str(error.orig).split()), self._url)
            missing = "no such table" in reason or "does not exist" in reason
            kind = CatalogError if missing else CatalogUnavailableError
            raise kind(f"the catalog {self.url} failed: {reason}; {_next_step(reason)}") from None


def open_catalog(url: str, migrate: bool = True) -> Catalog:
    """The catalog at a URL, brought to this version's form unless `migrate` is False. Raises CatalogError."""
    catalog = Catalog(url)
    if migrate:
        catalog.migrate()
    return catalog


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for our migrations on a connection; there is no alembic.ini to be missed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


_MIGRATE = "any itrp command that writes brings it there, for example itrp ingest landing"


def _is_outage(error: DBAPIError) -> bool:
    """Is it the database's state, not a statement of ours, that is at fault?"""
    # SQLite says DatabaseError, and nothing finer, of a file that is no database.
    # 42P01 is PostgreSQL's missing table.
    outage = isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError
    return outage or getattr(error.orig, "sqlstate", None) == "42P01"


def _next_step(reason: str) -> str:
    if "no such table" in reason or "does not exist" in reason:
        return _MIGRATE
    if "locked" in reason:
        return f"another process has been writing for over {BUSY_SECONDS} s: wait for it, or use PostgreSQL"
    return "start the database, or correct ITRP_CATALOG_URL"


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise CatalogError(
            "expected a catalog URL such as sqlite:////folder/catalog.db or postgresql://user@host/itrp, "
            "found something else: correct ITRP_CATALOG_URL"
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise CatalogError(
            f"expected a catalog in SQLite or PostgreSQL, found {parsed.get_backend_name()}: correct ITRP_CATALOG_URL"
        )
    return parsed


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url)
            _prepare_sqlite(engine)
            return engine
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise CatalogError(
            f"expected the database driver of {url.drivername}, found none: pip install 'itrp[postgres]'"
        ) from error


def _prepare_sqlite(engine: Engine) -> None:
    """Foreign keys, readers beside the writer, and writers that queue instead of failing."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: object) -> None:
        assert isinstance(connection, sqlite3.Connection)
        # The driver's own, late BEGIN is off; ours is below.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.create_function(HOLDS_WORDS, 2, holds_words, deterministic=True)
        _use_write_ahead_log(connection)

    @event.listens_for(engine, "begin")
    def begin_immediate(connection: Connection) -> None:
        # One that reads first and writes later cannot wait for another writer: SQLite rejects it at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL. Of processes that do so at once, all but one are rejected and try again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _lock_migrations(connection: Connection) -> None:
    """Let one process migrate at a time, until its transaction ends. SQLite's BEGIN IMMEDIATE does so too."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


def _revisions(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _heads() -> tuple[str, ...]:
    return tuple(ScriptDirectory(str(MIGRATIONS)).get_heads())


def _name(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "no tables"


def _without_password(message: str, url: URL) -> str:
    return message.replace(str(url.password), "***") if url.password else message
