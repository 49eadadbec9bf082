"""What people say of tweets: entered once, never changed, taken back by a further row; on SQLite and PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from infra.catalog.annotations import (
    AnnotationFilter,
    NewAnnotation,
    annotation_history,
    count_labels,
    known_tweets,
    newest_annotation,
    record_annotations,
    undo,
    withdraw,
)
from infra.catalog.current_labels import current_labels
from infra.catalog.database import Catalog
from infra.catalog.people import find_person
from infra.errors import CatalogError, ReviewError
from tests.infra.catalog.review_tweets import GUIDELINE, make_tweets, say, store_tweets


@pytest.fixture
def dataset_id(catalog: Catalog) -> int:
    """A data set of 20 stored tweets, t0 to t19."""
    with catalog.session() as session:
        return store_tweets(session, [each.entry for each in make_tweets(20)]).dataset_id


def test_what_is_said_is_kept_as_it_was_said(catalog: Catalog, dataset_id: int) -> None:
    said = say(dataset_id, "t3", "Zoë", 1, task="image", queue="browse", seconds=4.25, note="«hm»", token="a")
    with catalog.session() as session:
        assert record_annotations(session, [said]) == 1
    with catalog.session() as session:
        (row,) = annotation_history(session)
        assert {name: getattr(row, name) for name in said.__dataclass_fields__} == {
            name: getattr(said, name) for name in said.__dataclass_fields__
        }
        assert row.source == "page"
        assert row.created_at.utcoffset() is not None
        added = find_person(session, "Zoë")
        assert added is not None
        assert added.password_hash is None


def test_a_form_that_is_sent_again_enters_nothing(catalog: Catalog, dataset_id: int) -> None:
    form = [
        say(dataset_id, "t1", "anna", 1, token="form"),
        say(dataset_id, "t1", "anna", 0, task="image", token="form"),
    ]
    with catalog.session() as session:
        assert record_annotations(session, form) == 2
    with catalog.session() as session:
        assert record_annotations(session, [*form, say(dataset_id, "t2", "anna", 1)]) == 1
        assert record_annotations(session, [say(dataset_id, "t9", "bert", 0, token="form")]) == 0
    with catalog.session() as session:
        assert [(row.tweet_id, row.task, row.value) for row in annotation_history(session)] == [
            ("t2", "text", 1),
            ("t1", "image", 0),
            ("t1", "text", 1),
        ]


def test_writers_at_once_lose_and_double_nothing(catalog: Catalog, dataset_id: int) -> None:
    """Each of 8 threads sends the same 10 forms and 10 of its own, under the same new names."""
    barrier = threading.Barrier(8)

    def write(number: int) -> int:
        barrier.wait()
        entered = 0
        for row in range(10):
            common = say(dataset_id, f"t{row}", "anna", row % 2, token=f"common {row}")
            own = say(dataset_id, f"t{row}", f"writer {number}", 1, token=f"own {number} {row}")
            with catalog.session() as session:
                entered += record_annotations(session, [common, own])
        return entered

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 10 + 8 * 10
    with catalog.session() as session:
        labels = current_labels(session)
        assert len(labels) == 10 + 8 * 10
        assert {each.tweet_id: each.value for each in labels if each.person == "anna"} == {
            f"t{row}": row % 2 for row in range(10)
        }


def test_no_row_can_be_changed_or_removed(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        record_annotations(session, [say(dataset_id, "t1", "anna", 1)])
    statements = ["UPDATE annotation SET value = 0", "DELETE FROM annotation"]
    with catalog.connect() as connection:
        if connection.dialect.name == "postgresql":
            statements.append("TRUNCATE annotation")
    for statement in statements:
        with (
            pytest.raises((DBAPIError, CatalogError), match="annotations are append-only"),
            catalog.connect() as connection,
        ):
            connection.execute(text(statement))
    with catalog.session() as session:
        assert [label.value for label in current_labels(session)] == [1]


def test_tweets_that_are_not_stored(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        assert known_tweets(session, dataset_id, ["t1", "t19", "t20"]) == {"t1", "t19"}
    with (
        pytest.raises(
            ReviewError, match="expected ids of stored tweets, found 1 others, such as 'gone': ingest these tweets"
        ),
        catalog.session() as session,
    ):
        record_annotations(session, [say(dataset_id, "t1", "anna", 1), say(dataset_id, "gone", "anna", 1)])
    with catalog.session() as session:
        assert annotation_history(session) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "both"}, "expected as task one of text, image, found 'both'"),
        ({"kind": "guess"}, "expected as kind one of label, skip, withdrawal, decision, found 'guess'"),
        ({"queue": "page"}, "expected as queue one of random, .*found 'page'"),
        ({"value": 2}, "expected as value of a label one of 0, 1, found 2"),
        ({"kind": "skip"}, "expected as value of a skip one of none, found 1"),
        ({"token": ""}, "expected a token of 1 to 64 characters, found 0"),
    ],
)
def test_what_cannot_be_said(changes: dict[str, Any], message: str) -> None:
    said = asdict(say(1, "t1", "anna", 1)) | changes
    with pytest.raises(ReviewError, match=message):
        NewAnnotation(**said)


def test_withdrawing_takes_both_answers_back(catalog: Catalog, dataset_id: int) -> None:
    form = [say(dataset_id, "t1", "anna", 1, token="f"), say(dataset_id, "t1", "anna", None, task="image", token="f")]
    with catalog.session() as session:
        record_annotations(session, [*form, say(dataset_id, "t1", "bert", 0), say(dataset_id, "t2", "anna", 1)])
        assert withdraw(session, dataset_id, "t1", "anna", token="w", guideline=GUIDELINE) == 2
        assert withdraw(session, dataset_id, "t1", "anna", token="w2", guideline=GUIDELINE) == 0
        assert [(each.tweet_id, each.person) for each in current_labels(session)] == [("t1", "bert"), ("t2", "anna")]
        of_anna = AnnotationFilter(dataset_id=dataset_id, people=["anna"], tweet_ids=["t1"])
        assert [(row.task, row.kind, row.value, row.queue) for row in annotation_history(session, of_anna)] == [
            ("image", "withdrawal", None, "random"),
            ("text", "withdrawal", None, "random"),
            ("image", "skip", None, "random"),
            ("text", "label", 1, "random"),
        ]


def test_undoing_goes_back_tweet_by_tweet(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        for tweet in ("t1", "t2", "t3"):
            form = [
                say(dataset_id, tweet, "anna", 1, token=tweet),
                say(dataset_id, tweet, "anna", 0, task="image", token=tweet),
            ]
            record_annotations(session, form)
        record_annotations(
            session, [say(dataset_id, "t4", "bert", 1), say(dataset_id, "t5", "anna", 1, kind="decision")]
        )
        undone = [undo(session, "anna", token=f"u{step}", guideline=GUIDELINE) for step in range(4)]
        assert [row and row.tweet_id for row in undone] == ["t3", "t2", "t1", None]
        assert [(each.tweet_id, each.person) for each in current_labels(session)] == [("t4", "bert")]
        record_annotations(session, [say(dataset_id, "t2", "anna", 0)])
        assert [(each.tweet_id, each.value) for each in current_labels(session)] == [("t2", 0), ("t4", 1)]


def test_undoing_twice_by_one_form_undoes_once(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        record_annotations(session, [say(dataset_id, "t1", "anna", 1), say(dataset_id, "t2", "anna", 1)])
        undone = [undo(session, "anna", token="u", guideline=GUIDELINE) for _ in range(2)]
        assert [row and row.tweet_id for row in undone] == ["t2", "t2"]
        assert [each.tweet_id for each in current_labels(session)] == ["t1"]


def test_undoing_in_one_queue_and_data_set(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        other = store_tweets(session, [each.entry for each in make_tweets(3)], "other").dataset_id
        record_annotations(
            session, [say(dataset_id, "t1", "anna", 1), say(dataset_id, "t2", "anna", 1, queue="browse")]
        )
        record_annotations(session, [say(other, "t1", "anna", 1)])
        last = undo(session, "anna", token="u1", guideline=GUIDELINE, dataset_id=dataset_id, queue="random")
        assert last is not None
        assert (last.dataset_id, last.tweet_id) == (dataset_id, "t1")
        assert undo(session, "anna", token="u2", guideline=GUIDELINE, dataset_id=dataset_id, queue="random") is None


def test_the_history_a_part_at_a_time(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        record_annotations(session, [say(dataset_id, f"t{row}", "anna", 1) for row in range(7)])
        seen: list[str] = []
        before = None
        while rows := annotation_history(session, before=before, limit=3):
            seen += [row.tweet_id for row in rows]
            before = rows[-1].id
        assert seen == [f"t{row}" for row in reversed(range(7))]


def test_counting_new_labels(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        assert (newest_annotation(session), count_labels(session)) == (0, 0)
        record_annotations(session, [say(dataset_id, "t1", "anna", 1), say(dataset_id, "t2", "anna", 1)])
        known = newest_annotation(session)
        record_annotations(session, [say(dataset_id, "t3", "anna", 1), say(dataset_id, "t3", "bert", 1)])
        record_annotations(session, [say(dataset_id, "t4", "anna", None)])
        assert count_labels(session) == 3
        assert count_labels(session, after=known) == 1
        assert count_labels(session, after=known, dataset_id=dataset_id + 1) == 0
