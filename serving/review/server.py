"""The review page served: opened from the settings, run until a signal comes, ended cleanly."""

import logging
import signal
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvicorn

from infra.catalog.database import Catalog
from infra.catalog.people import find_or_add_person
from infra.object_store import ObjectStore
from infra.settings import Settings
from itrp.errors import WrongUseError
from serving.review.access import Access, AccountAccess, OwnAccess
from serving.review.accounts import Accounts
from serving.review.app import make_app
from serving.review.desk import Desk
from serving.review.index_keeper import EVERY_SECONDS, IndexKeeper
from serving.review.pictures import Pictures
from serving.review.rendering import make_environment
from serving.review.seal import Seal, keep_secret

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SECRET_FILE = "review-secret"
"""In the work folder: signs forms where no setting does."""
AT_ONCE = 128
"""Connections served at once; more are told to come again."""
GRACE_SECONDS = 10
"""For what is being answered when the signal comes."""


@dataclass(frozen=True)
class Place:
    """Where the page listens and where people open it."""

    socket: socket.socket
    addresses: tuple[str, ...]
    """The first is the one to tell people."""


def open_place(settings: Settings, host: str, port: int) -> Place:
    """Listen at an address. Raises WrongUseError where others could reach a page without passwords, or the port is taken."""
    if settings.review_secret is None and host not in LOOPBACK:
        raise WrongUseError(
            f"expected --host {LOOPBACK[0]} for a page without passwords, found {host}: set ITRP_REVIEW_SECRET "
            "(openssl rand -hex 24), add people with `itrp review add-person NAME`, and start it again"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=AT_ONCE)
    except (OSError, OverflowError) as error:
        raise WrongUseError(
            f"expected a free port at {host}, found {port} ({getattr(error, 'strerror', None) or error}): "
            "choose another one with --port, or end the other page"
        ) from None
    chosen = listening.getsockname()[1]
    own = tuple(f"http://{name}:{chosen}" for name in ("127.0.0.1", "localhost", "[::1]"))
    told = (settings.review_url.rstrip("/"),) if settings.review_url else ()
    return Place(listening, (*told, *own) if host in LOOPBACK or not told else told)


def open_desk(
    settings: Settings, catalog: Catalog, store: ObjectStore, keeper: IndexKeeper, *, person: str, address: str
) -> Desk:
    """The page's parts. With a secret in the settings people log in; without one, `person` is whoever asks."""
    access: Access
    if settings.review_secret is not None:
        seal = Seal(settings.review_secret.get_secret_value())
        access = AccountAccess(Accounts(catalog), seal, secure=urlsplit(address).scheme == "https")
    else:
        seal = Seal(keep_secret(settings.work_dir / SECRET_FILE))
        with catalog.session() as session:
            find_or_add_person(session, person)
        access = OwnAccess(person)
    return Desk(
        catalog=catalog,
        pictures=Pictures(store, settings.cache_dir),
        access=access,
        seal=seal,
        templates=make_environment(),
        keeper=keeper,
        people=settings.review_people,
    )


def serve(settings: Settings, catalog: Catalog, store: ObjectStore, *, place: Place, person: str) -> None:
    """Serve until SIGINT or SIGTERM; then what is being answered is answered, and the index ends at a whole shard."""
    keeper = IndexKeeper(catalog, store)
    desk = open_desk(settings, catalog, store, keeper, person=person, address=place.addresses[0])
    config = uvicorn.Config(
        make_app(desk, place.addresses),
        log_level="warning",
        server_header=False,
        limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
    )
    # uvicorn raises the signal once more when it has ended, for whoever had it before: nobody, so that this is a clean end
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    logger.info("the index of tweets is brought up to date now and every %.0f s", EVERY_SECONDS)
    keeper.start()
    try:
        uvicorn.Server(config).run(sockets=[place.socket])
    finally:
        keeper.stop()
        catalog.dispose()
