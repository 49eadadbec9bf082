"""Accounts with passwords: hashed by argon2id (argon2-cffi's defaults, RFC 9106's low-memory profile), kept in the catalog."""

from dataclasses import dataclass, field
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infra.catalog.database import Catalog
from infra.catalog.people import add_person, find_person, set_password
from itrp.errors import WrongUseError

SHORTEST = 12
"""Characters of a password at least; a short sentence has more."""
LONGEST = 256
"""Characters at most: hashing takes time by the length."""


@dataclass(frozen=True)
class Accounts:
    """Who may come in, and the proof."""

    catalog: Catalog
    _hasher: PasswordHasher = field(default_factory=PasswordHasher, repr=False)

    def add(self, name: str, password: str) -> None:
        """A new account. Raises WrongUseError for a password that is too short or long, ReviewError for a taken name."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise WrongUseError(
                f"expected a password of {SHORTEST} to {LONGEST} characters, found {len(password)}: take a short sentence"
            )
        hashed = self._hasher.hash(password)
        with self.catalog.session() as session:
            add_person(session, name, hashed)

    def find_hash(self, name: str) -> str | None:
        """The password's hash of an open account; None for a closed one, one without a password, and none at all."""
        with self.catalog.session() as session:
            person = find_person(session, name)
        return person.password_hash if person is not None and person.disabled_at is None else None

    def check(self, name: str, password: str) -> bool:
        """Whether it is this account's password. Takes as long for a name that nobody has."""
        stored = self.find_hash(name)
        if not self._verify(stored or _hash_of_nobody(), password) or stored is None:
            return False
        if self._hasher.check_needs_rehash(stored):  # the library's profile has become stronger since
            with self.catalog.session() as session:
                set_password(session, name, self._hasher.hash(password))
        return True

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False


@cache
def _hash_of_nobody() -> str:
    """Checked in place of an account that is not there: the answer's time tells no names."""
    return PasswordHasher().hash("the password of nobody")
