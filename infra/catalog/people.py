"""People who label: added, found, disabled. Passwords are hashed elsewhere; here lies the hash, as an opaque string."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from infra.catalog.queries import insert_unless_there
from infra.catalog.review_tables import Person
from infra.catalog.tables import now
from infra.errors import ReviewError

NAME_CHARACTERS = 64


def add_person(session: Session, name: str, password_hash: str | None = None) -> Person:
    """A new person. One who labels without a password, and is given one here, keeps what she has labelled.

    Raises ReviewError for a name that cannot be one, and where somebody of that name has a password already.
    """
    entered = insert_unless_there(
        session, Person, ("name",), {"name": _check_name(name), "password_hash": password_hash}
    )
    person = session.scalars(select(Person).where(Person.name == name).with_for_update()).one()
    if entered:
        return person
    if person.password_hash is not None or password_hash is None:
        raise ReviewError(f"expected a new name, found {name!r}, whom the catalog knows: choose another name")
    person.password_hash = password_hash
    session.flush()
    return person


def find_or_add_person(session: Session, name: str) -> Person:
    """The person of that name; a new one without a password where there is none. Raises ReviewError for an impossible name."""
    insert_unless_there(session, Person, ("name",), {"name": _check_name(name)})
    return session.scalars(select(Person).where(Person.name == name)).one()


def find_person(session: Session, name: str) -> Person | None:
    """The person of that name, a disabled one too; None when there is none."""
    return session.scalar(select(Person).where(Person.name == name))


def list_people(session: Session) -> list[Person]:
    """Everybody by name, the disabled among them."""
    return [*session.scalars(select(Person).order_by(Person.name))]


def set_password(session: Session, name: str, password_hash: str) -> None:
    """Replace the person's password. Raises ReviewError when there is nobody of that name."""
    _update_person(session, name, password_hash=password_hash)


def disable_person(session: Session, name: str) -> None:
    """Keep the person from logging in; what she said stays. Raises ReviewError when there is nobody of that name."""
    _update_person(session, name, disabled_at=now())


def enable_person(session: Session, name: str) -> None:
    """Let a disabled person log in again. Raises ReviewError when there is nobody of that name."""
    _update_person(session, name, disabled_at=None)


def _update_person(session: Session, name: str, **values: object) -> None:
    changed = session.scalars(update(Person).where(Person.name == name).values(**values).returning(Person.id)).all()
    if not changed:
        raise ReviewError(
            f"expected the name of a person, found {name!r}, whom the catalog does not know: add her first"
        )


def _check_name(name: str) -> str:
    if name and name == name.strip() and name.isprintable() and len(name) <= NAME_CHARACTERS:
        return name
    raise ReviewError(
        f"expected a name of 1 to {NAME_CHARACTERS} printable characters without spaces around it, found {name[:80]!r}: "
        "choose another name"
    )
