"""People who label: added once, found, disabled; on SQLite and PostgreSQL."""

import pytest

from infra.catalog.database import Catalog
from infra.catalog.people import (
    add_person,
    disable_person,
    enable_person,
    find_or_add_person,
    find_person,
    list_people,
    set_password,
)
from infra.errors import ReviewError


def test_people_are_added_once(catalog: Catalog) -> None:
    with catalog.session() as session:
        add_person(session, "anna", "hash 1")
        find_or_add_person(session, "bert")
    with catalog.session() as session:
        assert [(each.name, each.password_hash) for each in list_people(session)] == [
            ("anna", "hash 1"),
            ("bert", None),
        ]
        with pytest.raises(ReviewError, match="expected a new name, found 'anna', whom the catalog knows"):
            add_person(session, "anna", "hash 2")
        assert find_or_add_person(session, "anna").password_hash == "hash 1"
        assert find_person(session, "carl") is None


def test_one_who_labelled_without_a_password_gets_one(catalog: Catalog) -> None:
    with catalog.session() as session:
        labelled = find_or_add_person(session, "bert")
        with pytest.raises(ReviewError, match="expected a new name"):
            add_person(session, "bert")
    with catalog.session() as session:
        added = add_person(session, "bert", "hash")
        assert (added.id, added.password_hash) == (labelled.id, "hash")


def test_a_person_is_disabled_and_enabled(catalog: Catalog) -> None:
    with catalog.session() as session:
        add_person(session, "anna", "hash 1")
        disable_person(session, "anna")
        set_password(session, "anna", "hash 2")
    with catalog.session() as session:
        found = find_person(session, "anna")
        assert found is not None
        assert found.disabled_at is not None
        assert found.password_hash == "hash 2"
        enable_person(session, "anna")
    with catalog.session() as session:
        found = find_person(session, "anna")
        assert found is not None
        assert found.disabled_at is None
        with pytest.raises(
            ReviewError, match="expected the name of a person, found 'carl', whom the catalog does not know"
        ):
            disable_person(session, "carl")


@pytest.mark.parametrize("name", ["", " anna", "an\nna", "a" * 65, "a\u202eb"])
def test_names_that_cannot_be(catalog: Catalog, name: str) -> None:
    with (
        pytest.raises(ReviewError, match="expected a name of 1 to 64 printable characters"),
        catalog.session() as session,
    ):
        add_person(session, name)
