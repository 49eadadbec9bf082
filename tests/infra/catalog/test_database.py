"""The catalog on SQLite and on a real PostgreSQL: migrations, transactions, errors."""

import hashlib
import logging
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.exc import StatementError

import infra.catalog.review_tables  # noqa: F401  tables of Base's
from infra.catalog.database import Catalog, alembic_config, open_catalog
from infra.catalog.queries import (
    get_dataset,
    get_or_create_dataset,
    labels_of_shard,
    list_shards,
    set_aside_by,
    unlabelled_shards,
)
from infra.catalog.tables import Base, Dataset, Shard
from infra.catalog.words import WORDS
from infra.errors import CatalogError


def make_shard(dataset: Dataset, position: int, name: str = "") -> Shard:
    digest = hashlib.sha256(f"{name or dataset.name} {position}".encode()).hexdigest()
    return Shard(dataset=dataset, position=position, hash=digest, key=f"shards/{digest}", pairs=10, size=1000)


def compare_tables(connection: Connection) -> Any:
    """What the classes and the migrated tables differ in, the index of words aside, which has no class."""

    def include_name(name: str | None, kind: str, _parents: Any) -> bool:
        return not (kind == "table" and name is not None and name.startswith(WORDS))

    return compare_metadata(MigrationContext.configure(connection, opts={"include_name": include_name}), Base.metadata)


def test_migrations_build_exactly_the_tables(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        assert compare_tables(connection) == []
        tables = {name for name in inspect(connection).get_table_names() if not name.startswith(WORDS)}
    assert tables == {*Base.metadata.tables, "alembic_version"}
    catalog.check()


def test_the_comparison_of_tables_notices_a_difference(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        connection.execute(text("ALTER TABLE shard ADD COLUMN colour VARCHAR(8)"))
    with catalog.connect() as connection:
        difference = compare_tables(connection)
    assert [(change[0], change[2], change[3].name) for change in difference] == [("remove_column", "shard", "colour")]


def test_migrations_can_be_undone_and_done_again(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        alembic.command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    with pytest.raises(CatalogError, match=r"at revision 0005, found no tables: any itrp command that writes"):
        catalog.check()
    catalog.migrate()
    catalog.check()


OPENER = """
import sys
from infra.catalog.database import open_catalog
sys.stdin.read(1)
open_catalog(sys.argv[1]).check()
"""


@pytest.mark.e2e
def test_processes_that_open_a_fresh_catalog_at_once_all_succeed(fresh_url: str) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, fresh_url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("g")
        opener.stdin.close()
    for opener in openers:
        assert opener.stderr is not None
        message = opener.stderr.read()
        assert opener.wait() == 0, message
    catalog = Catalog(fresh_url)
    catalog.check()
    catalog.dispose()


def test_threads_with_a_catalog_each_open_a_fresh_one_at_once(fresh_url: str) -> None:
    barrier = threading.Barrier(8)

    def open_and_check(_number: int) -> None:
        barrier.wait()
        catalog = open_catalog(fresh_url)
        catalog.check()
        catalog.dispose()

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(open_and_check, range(8))] == [None] * 8


def test_migrating_leaves_logging_as_it_is(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, [*root.handlers], logging.getLogger("flows").disabled)
    open_catalog(f"sqlite:///{tmp_path}/catalog.db").dispose()
    assert (root.level, [*root.handlers], logging.getLogger("flows").disabled) == before


def test_sqlite_is_set_up(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    with catalog.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30000}
    catalog.dispose()


def test_a_session_commits_or_rolls_back(catalog: Catalog) -> None:
    with catalog.session() as session:
        kept = get_or_create_dataset(session, "kept", "landing")
    assert kept.name == "kept"
    with suppress(RuntimeError), catalog.session() as session:
        get_or_create_dataset(session, "lost", "landing")
        raise RuntimeError("on the way")
    with catalog.session() as session:
        assert [*session.scalars(select(Dataset.name))] == ["kept"]


def test_writers_that_read_first_wait_for_each_other(catalog: Catalog) -> None:
    with catalog.session() as session:
        get_or_create_dataset(session, "landing", "landing")

    def append_shard(number: int) -> None:
        with catalog.session() as session:
            # FOR UPDATE is PostgreSQL's way; SQLite's transactions are immediate.
            dataset = session.scalars(select(Dataset).with_for_update()).one()
            position = session.scalar(select(func.count()).select_from(Shard)) or 0
            session.add(make_shard(dataset, position, name=f"writer {number}"))

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(append_shard, range(40))]
    with catalog.session() as session:
        assert [shard.position for shard in list_shards(session, "landing")] == [*range(40)]


def test_times_come_back_in_utc(catalog: Catalog) -> None:
    moment = datetime(2026, 11, 24, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    with catalog.session() as session:
        session.add(Dataset(name="x", layout="itr", created_at=moment))
    with catalog.session() as session:
        found = session.scalars(select(Dataset.created_at)).one()
    assert found == datetime(2026, 11, 23, 20, 30, 0, 123456, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)
    with (
        pytest.raises(StatementError, match="expected a timezone-aware point in time"),
        catalog.session() as session,
    ):
        session.add(Dataset(name="y", layout="itr", created_at=moment.replace(tzinfo=None)))


def test_a_catalog_that_is_not_there(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db", migrate=False)
    with pytest.raises(CatalogError, match="found no file: any itrp command that writes brings it there"):
        catalog.check()
    assert [*tmp_path.iterdir()] == []


def test_a_catalog_without_tables(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "catalog.db").execute("CREATE TABLE x (y)").connection.close()
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    with pytest.raises(CatalogError, match="at revision 0005, found no tables"):
        catalog.check()
    with (
        pytest.raises(CatalogError, match="no such table: dataset; any itrp command that writes"),
        catalog.session() as session,
    ):
        get_dataset(session, "x")
    catalog.dispose()


def test_a_catalog_of_a_newer_version(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (catalog.check, catalog.migrate):
        with pytest.raises(CatalogError, match="found 9999, from a newer itrp: upgrade itrp"):
            act()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database, but long enough to be read as the head of one" * 20)
    with pytest.raises(CatalogError, match=r"file is not a database; .*correct ITRP_CATALOG_URL"):
        open_catalog(f"sqlite:///{tmp_path}/catalog.db")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"expected a folder that can be written at .*file/below"):
        open_catalog(f"sqlite:///{tmp_path}/file/below/catalog.db")


def test_a_server_that_does_not_answer_and_its_password() -> None:
    url = "postgresql://itrp:geheim@127.0.0.1:1/itrp"
    with pytest.raises(CatalogError, match="start the database, or correct ITRP_CATALOG_URL") as caught:
        open_catalog(url)
    assert "postgresql://itrp:***@127.0.0.1:1/itrp" in str(caught.value)
    assert "geheim" not in str(caught.value) + repr(Catalog(url)) + Catalog(url).url
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["nothing", "mysql://u:geheim@h/x", "postgresql://u:geheim@h:port/x"])
def test_an_url_of_something_else(url: str) -> None:
    with pytest.raises(CatalogError, match="correct ITRP_CATALOG_URL") as caught:
        Catalog(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.e2e
def test_a_killed_migration_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    killed = (
        "import os, sys; from infra.catalog.database import *\n"
        "catalog = Catalog(sys.argv[1])\n"
        "with catalog.connect() as connection:\n"
        "    alembic.command.upgrade(alembic_config(connection), 'head')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, url], check=False).returncode == -9
    connection = sqlite3.connect(tmp_path / "catalog.db")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    open_catalog(url).check()


def test_a_filled_catalog_of_the_version_before_keeps_its_ledger(catalog: Catalog) -> None:
    """Labels written before tweets could be set aside are whole shards."""
    with catalog.session() as session:
        shard = make_shard(get_or_create_dataset(session, "landing", "landing"), 0)
        session.add(shard)
    with catalog.connect() as connection:
        config = alembic_config(connection)
        before = ScriptDirectory.from_config(config).get_revision("0004").down_revision
        alembic.command.downgrade(config, before)
        columns = {column["name"] for column in inspect(connection).get_columns("label_file")}
        assert "set_aside" not in columns
        connection.execute(
            text(
                "INSERT INTO label_file (shard_id, text_version, image_version, key, sha256, pairs, counts, scored_at) "
                "VALUES (:shard, '2', '3', 'labels/a.parquet', 'ab', 10, '{\"00\": 4, \"11\": 6}', '2026-11-01 00:00:00')"
            ),
            {"shard": shard.id},
        )
    catalog.migrate()
    catalog.check()
    with catalog.session() as session:
        (row,) = labels_of_shard(session, shard.id)
        assert (row.pairs, row.set_aside, row.counts) == (10, 0, {"00": 4, "11": 6})
        assert set_aside_by(session, [row.id]) == []
        assert unlabelled_shards(session, "landing") == []
