"""What every command's grammar is made of: a parser that answers in one line, and the types of its arguments."""

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["OneLineParser"]

REFERENCE = "NAME@ALIAS or NAME/VERSION, for example itrp-text-task@challenger"


class OneLineParser(argparse.ArgumentParser):
    """A parser that answers wrong use in one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        print(f"{self.prog}: {message} (see `{self.prog} --help`)", file=sys.stderr)
        raise SystemExit(2)


def add_command(commands: "Commands", name: str, help_text: str, description: str | None = None) -> OneLineParser:
    """A command's parser, with the options every command has."""
    parser = commands.add_parser(name, help=help_text, description=description or help_text)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on standard output and nothing else there"
    )
    parser.add_argument("--verbose", action="store_true", help="log more; Prefect's lines too")
    return parser


def whole(text: str) -> int:
    """A number from 0 to 2^63 - 1, the largest that is kept with a run."""
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**63 - 1:,}, found {text[:40]!r}")
    return int(text)


def version_pair(text: str) -> tuple[str, str]:
    """The versions of a text and an image model."""
    found = re.fullmatch(r"v?([0-9]{1,9}),v?([0-9]{1,9})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected a text and an image version, for example 3,2, found {text[:40]!r}")
    return found[1], found[2]
