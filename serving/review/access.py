"""Who is at the page: its one owner where it runs for one person, accounts with passwords where others reach it."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request, Response

from serving.review.accounts import Accounts
from serving.review.seal import SESSION, Seal

COOKIE = "itrp_review"
SESSION_SECONDS = 7 * 86_400
"""A session ends by itself after a week."""


@dataclass(frozen=True)
class Visit:
    """A person's presence: what the pages know of who asks."""

    person: str
    key: str
    """Another one for each login: what forms are tied to."""


class Access(Protocol):
    """How people come in."""

    @property
    def asks_password(self) -> bool:
        """Whether there are accounts: a page to log in, and a way out."""
        ...

    def find_visit(self, request: Request) -> Visit | None:
        """Who asks; None for somebody who has to log in first."""
        ...


@dataclass(frozen=True)
class OwnAccess:
    """The page of one person on her own machine: whoever reaches 127.0.0.1 is that person."""

    person: str
    asks_password: bool = False

    def find_visit(self, request: Request) -> Visit | None:
        """Always the one."""
        return Visit(self.person, f"own:{self.person}")


@dataclass(frozen=True)
class AccountAccess:
    """Accounts of the catalog, and a signed cookie after the password."""

    accounts: Accounts
    seal: Seal
    secure: bool
    """Whether people come by https: then the cookie goes no other way."""
    asks_password: bool = True

    def find_visit(self, request: Request) -> Visit | None:
        """The person of the cookie, while her account is open and her password the one she came with."""
        found = self.seal.read(SESSION, request.cookies.get(COOKIE, ""), max_age=SESSION_SECONDS)
        if found is None:
            return None
        person, nonce, mark = found[0]
        stored = self.accounts.find_hash(person)
        if stored is None or not secrets.compare_digest(mark, _mark(stored)):
            return None
        return Visit(person, nonce)

    def open(self, response: Response, person: str) -> None:
        """Give the cookie to somebody who has given the password."""
        stored = self.accounts.find_hash(person)
        value = self.seal.sign(SESSION, [person, secrets.token_urlsafe(16), _mark(stored or "")])
        response.set_cookie(
            COOKIE, value, max_age=SESSION_SECONDS, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def close(self, response: Response) -> None:
        """Take the cookie back."""
        response.delete_cookie(COOKIE, path="/", secure=self.secure, httponly=True, samesite="lax")


def _mark(password_hash: str) -> str:
    """Tells one password from the next, so that a changed one ends the sessions of the old."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]
