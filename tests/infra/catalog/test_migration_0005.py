"""A filled catalog of the version before gets the tables of the review and keeps every row; on both databases."""

from typing import Any

import alembic.command
import pytest
from sqlalchemy import inspect, text

from infra.catalog.annotations import record_annotations
from infra.catalog.current_labels import current_labels
from infra.catalog.database import Catalog, alembic_config
from infra.catalog.queries import find_tweet, labels_of_shard, record_label_file, set_aside_by, unlabelled_shards
from infra.catalog.review_tables import Annotation
from infra.catalog.tweet_entries import pending_label_files, pending_shards
from tests.infra.catalog.review_tweets import say

ROWS = (
    "INSERT INTO dataset VALUES (1, 'landing', 'landing', 'labels/human.json', '2026-11-01 00:00:00')",
    "INSERT INTO landing_object VALUES (7, 1, 'landing/a.jsonl', 'e1', 4, 2, 0, 2, 'run', '2026-11-01 00:00:00')",
    "INSERT INTO shard VALUES (3, 1, 0, 'h', 'shards/h.parquet', 2, 10, 'run', '2026-11-01 00:00:00')",
    "INSERT INTO stored_tweet VALUES (1, 't1', 'c', 3, 0, 7, 1), (1, 't2', 'd', 3, 1, 7, 2)",
    "INSERT INTO quarantined_tweet VALUES "
    "(1, 1, 7, 'landing/a.jsonl', 3, 't3', 'p.jpg', 'image_missing', 'why', '2026-11-01 00:00:00', NULL)",
    "INSERT INTO quarantine_rest (id, landing_object_id, code, records, lines) VALUES (1, 7, 'record_not_json', 1, 'x')",
    "INSERT INTO model_run VALUES "
    "(1, 'm', 'itrp', 'text', 1, 1, 'h', '{}', 2, 'itrp-text-task', '2', 'abc', NULL, '2026-11-01 00:00:00')",
    "INSERT INTO label_file (id, shard_id, text_version, image_version, key, sha256, pairs, set_aside, counts, scored_at) "
    "VALUES (5, 3, '2', '3', 'labels/a.parquet', 'ab', 1, 1, '{\"11\": 1}', '2026-11-01 00:00:00')",
    "INSERT INTO set_aside_tweet VALUES (1, 5, 1, 't2', 'image_not_a_picture', 'why', '2026-11-01 00:00:00')",
    "INSERT INTO notice VALUES ('quarantine', '2026-11-01 00:00:00')",
    "INSERT INTO champion_move VALUES (1, 'text', 1, '2', 'run', '2026-11-01 00:00:00')",
)
TABLES = (
    "dataset", "landing_object", "shard", "stored_tweet", "quarantined_tweet", "quarantine_rest", "model_run", "label_file",
    "set_aside_tweet", "notice", "champion_move",
)  # fmt: skip


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    """A catalog at the revision before, with a row in each of its tables."""
    with catalog.connect() as connection:
        alembic.command.downgrade(alembic_config(connection), "0004")
        assert {*inspect(connection).get_table_names()} == {*TABLES, "alembic_version"}
        for row in ROWS:
            connection.execute(text(row))
        if connection.dialect.name == "postgresql":  # the rows above name their ids, which its counters do not notice
            for table in ("dataset", "landing_object", "shard", "label_file", "set_aside_tweet"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100)"))
    return catalog


def read_all(catalog: Catalog) -> dict[str, list[Any]]:
    with catalog.connect() as connection:
        return {table: [*connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))] for table in TABLES}


def test_a_filled_catalog_keeps_its_rows_up_and_down(filled: Catalog) -> None:
    before = read_all(filled)
    assert all(before.values())
    filled.migrate()
    filled.check()
    assert read_all(filled) == before
    with filled.session() as session:
        record_annotations(session, [say(1, "t1", "anna", 1)])
    with filled.connect() as connection:
        alembic.command.downgrade(alembic_config(connection), "0004")
    assert read_all(filled) == before
    filled.migrate()
    with filled.session() as session:
        assert session.query(Annotation).count() == 0


def test_what_lay_there_is_reviewed_and_worked_on(filled: Catalog) -> None:
    """Its shards and label files wait for the index, its tweets take labels, and what asked it before is answered as before."""
    filled.migrate()
    with filled.session() as session:
        assert [shard.id for shard in pending_shards(session)] == [3]
        assert pending_label_files(session) == []  # its shard comes first
        record_annotations(session, [say(1, "t2", "anna", 0)])
        assert [(label.tweet_id, label.value) for label in current_labels(session)] == [("t2", 0)]
    with filled.session() as session:
        (origin,) = find_tweet(session, "t1")
        assert origin.landing_object.key == "landing/a.jsonl"
        assert [file.id for file in labels_of_shard(session, 3)] == [5]
        assert [tweet.tweet_id for tweet, _ in set_aside_by(session, [5])] == ["t2"]
        assert unlabelled_shards(session, "landing") == []
        record_label_file(
            session, shard_id=3, text_version="4", image_version="3", key="labels/b.parquet", sha256="cd", pairs=2, counts={}
        )  # fmt: skip
        assert len(labels_of_shard(session, 3)) == 2
