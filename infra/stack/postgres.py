"""PostgreSQL: a cluster in a folder, one database and one user for each who needs one."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from infra.errors import StackError
from infra.files import write_private
from infra.stack.service import Service, find_program, own_paths

HINT = "install PostgreSQL's server programs (Debian: apt install postgresql) and put initdb and postgres on the PATH"
SUPERUSER = "postgres"


def make_postgres(folder: Path, port: int, password: str, log: Path, options: Sequence[str] = ()) -> Service:
    """PostgreSQL on a folder, which is made at the first call; `options` of the program. Raises StackError."""
    data = folder / "data"
    user = _choose_user()
    if not (data / "PG_VERSION").exists():
        _make_cluster(folder, password, user)
    command = [
        _find("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", *options,
    ]  # fmt: skip

    def answers() -> bool:
        try:
            connect(port, SUPERUSER, password, "postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    # SIGINT is PostgreSQL's fast shutdown; asked by SIGTERM it would wait for its clients to leave
    return Service("postgres", command, log, answers, _environment(), user, signal.SIGINT)


def create_databases(port: int, password: str, owners: Mapping[str, str]) -> None:
    """A user and a database of the same name for each, by name and password, where there is none yet."""
    with connect(port, SUPERUSER, password, "postgres") as server:
        for name, secret in owners.items():
            if not _exists(server, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                server.execute(statement.format(sql.Identifier(name), sql.Literal(secret)))
            if not _exists(server, "SELECT 1 FROM pg_database WHERE datname = %s", name):
                server.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
                server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def connect(port: int, user: str, password: str, database: str) -> psycopg.Connection:
    """A connection without transactions. Raises psycopg.OperationalError when nobody answers."""
    return psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=password, dbname=database, autocommit=True, connect_timeout=5
    )


def _exists(server: psycopg.Connection, query: str, name: str) -> bool:
    return server.execute(query.encode(), (name,)).fetchone() is not None


def _make_cluster(folder: Path, password: str, user: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "password"
    write_private(file, password)
    if user:
        for path in (folder, file):
            shutil.chown(path, user)
    options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={file}", "-E", "UTF8", "--locale=C"]
    done = subprocess.run(
        [_find("initdb"), "-D", folder / "data", *options],
        user=user,
        cwd=folder,
        env=_environment(),
        capture_output=True,
    )
    file.unlink()
    if done.returncode:
        shutil.rmtree(folder / "data", ignore_errors=True)
        raise StackError(
            f"PostgreSQL cannot make its files in {folder}: {done.stderr.decode(errors='replace').strip()}"
        )


def _choose_user() -> str | None:
    """PostgreSQL refuses to run as root: root lends it the user its package has made."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise StackError("PostgreSQL does not run as root: start the stack as another user") from None


def _find(name: str) -> Path:
    # Debian keeps the server's programs off the PATH
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return packaged[-1] if packaged and not shutil.which(name) else find_program(name, HINT)


def _environment() -> dict[str, str]:
    return {**own_paths(), "LC_ALL": "C", "TZ": "UTC"}
