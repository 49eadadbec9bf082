"""A filled catalog of the version before is brought to this one, on SQLite and on a real PostgreSQL."""

from typing import Any

import alembic.command
import pytest
from sqlalchemy import inspect, text

from infra.catalog.database import Catalog, alembic_config
from infra.catalog.queries import count_quarantined, find_tweet
from tests.infra.catalog.rejections import count_rejections

ROWS = (
    "INSERT INTO dataset VALUES (1, 'landing', 'landing', NULL, '2026-11-01 00:00:00')",
    "INSERT INTO landing_object VALUES (7, 1, 'landing/a.jsonl', 'e1', 4, 1, 1, 2, 'run', '2026-11-01 00:00:00')",
    "INSERT INTO shard VALUES (3, 1, 0, 'h', 'shards/h.parquet', 1, 10, 'run', '2026-11-01 00:00:00')",
    "INSERT INTO stored_tweet VALUES (1, 't1', 'c', 3, 0, 7, 1)",
    "INSERT INTO quarantined_tweet VALUES "
    "(1, 1, 7, 'landing/a.jsonl', 2, 't2', 'p.jpg', 'image_missing', 'why', '2026-11-01 00:00:00', NULL), "
    "(2, 1, 7, 'landing/a.jsonl', 3, NULL, NULL, 'record_not_json', 'why', '2026-11-01 00:00:00', '2026-11-02 00:00:00')",
)


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    """A catalog at the revision before, with a row in each table that ingestion writes."""
    with catalog.connect() as connection:
        alembic.command.downgrade(alembic_config(connection), "0002")
        assert "quarantine_rest" not in inspect(connection).get_table_names()
        for row in ROWS:
            connection.execute(text(row))
    return catalog


def read_all(catalog: Catalog) -> dict[str, list[Any]]:
    tables = ("dataset", "landing_object", "shard", "stored_tweet", "quarantined_tweet")
    with catalog.connect() as connection:
        return {table: [*connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))] for table in tables}


def test_a_filled_catalog_keeps_its_rows(filled: Catalog) -> None:
    before = read_all(filled)
    filled.migrate()
    filled.check()
    assert read_all(filled) == before
    with filled.session() as session:
        assert count_quarantined(session) == 1
        assert count_rejections(session, 7) == {"image_missing": 1}
        (origin,) = find_tweet(session, "t1")
        assert origin.landing_object.key == "landing/a.jsonl"
    with filled.connect() as connection:
        alembic.command.downgrade(alembic_config(connection), "0002")
    assert read_all(filled) == before
