"""`itrp review`: the page where people look at tweets, label them, and see how good the labels are."""

import argparse
import getpass
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands
    from infra.settings import Settings

PORT = 4400
DEMO_FOLDER = "itrp-demo"
"""Where `itrp demo` leaves its tweets, unless it is told otherwise."""

logger = logging.getLogger(__name__)


def add_parser(commands: "Commands") -> None:
    """`itrp review`, `itrp review add-person NAME`."""
    parser = add_command(
        commands,
        "review",
        "open a page in the browser: look at tweets, label and correct them, see how good the labels are",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument(
        "--port", type=whole, default=PORT, help="port to listen at, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--person", metavar="NAME", help="who labels, where the page asks for no password (default: your login name)"
    )
    parser.add_argument(
        "--demo",
        nargs="?",
        const=DEMO_FOLDER,
        metavar="FOLDER",
        help=f"look at the tweets that `itrp demo` has made (default folder: {DEMO_FOLDER})",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=type(parser))
    add_person = add_command(
        actions, "add-person", "add somebody who logs in with a password, where ITRP_REVIEW_SECRET is set"
    )
    add_person.add_argument("name", metavar="NAME", help="the name she logs in with")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Serve until a signal comes, or add a person."""
    if args.action == "add-person":
        return _add_person(start(args), args.name)
    return _serve(args)


def _add_person(settings: "Settings", name: str) -> tuple[Report, str]:
    password = settings.review_password.get_secret_value() if settings.review_password else _ask_password(name)
    from infra.catalog.database import open_catalog
    from serving.review.accounts import Accounts

    Accounts(open_catalog(settings.catalog_url)).add(name, password)
    return {"person": name}, f"{name} can log in now"


def _ask_password(name: str) -> str:
    """Typed twice, unseen. Raises WrongUseError where nobody can type."""
    try:
        password = getpass.getpass(f"Password of {name}, 12 characters or more: ")
        again = getpass.getpass("The same again: ")
    except (EOFError, OSError):
        raise WrongUseError("expected a password, found nobody to ask: set ITRP_REVIEW_PASSWORD") from None
    if password != again:
        raise WrongUseError("expected the same password twice, found two: try again")
    return password


def _serve(args: argparse.Namespace) -> tuple[Report, str]:
    settings = start(args, told="opening the review page")
    if args.demo is not None:
        settings = _find_demo(Path(args.demo))
    if settings.review_secret is not None and args.person:
        raise WrongUseError("--person is for a page without passwords; ITRP_REVIEW_SECRET is set, and people log in")
    from flows.platform import open_objects
    from infra.catalog.database import open_catalog
    from infra.work_folder import make_work_folder
    from serving.review.server import open_place, serve

    place = open_place(settings, args.host, args.port)
    make_work_folder(settings)
    address = place.addresses[0]
    logger.info("the review page is at %s; Ctrl-C ends it", address)
    serve(
        settings,
        open_catalog(settings.catalog_url),
        open_objects(settings),
        place=place,
        person=args.person or _login_name(),
    )
    return {"address": address, "stopped": True}, "the review page has ended"


def _find_demo(folder: Path) -> "Settings":
    """Settings of the demo's folder, whatever the environment says. Raises WrongUseError where no demo was."""
    from flows.demo import MARKER
    from infra.settings import load_settings

    folder = folder.absolute()
    if not (folder / MARKER).exists():
        raise WrongUseError(f"expected the folder of a demo at {folder}, found none: run `itrp demo` first")
    return load_settings(
        work_dir=folder,
        object_store_url=(folder / "objects").as_uri(),
        catalog_url=f"sqlite:///{folder}/catalog.db",
        mlflow_uri=f"sqlite:///{folder}/mlflow.db",
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "me"
