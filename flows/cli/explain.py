"""`itrp explain`: a tweet, what models and people say of it, and where it comes from."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp explain`."""
    parser = add_command(
        commands,
        "explain",
        "show a tweet, its labels by models and people, and where they come from",
        "Begins with text, the picture's place and the labels in words; --verbose adds hashes, ETags and runs, --json has all.",
    )
    parser.add_argument("id", help="tweet id")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Everything known of a tweet."""
    settings = start(args)
    from flows.jobs.explain import describe_tweet, explain_tweet
    from flows.platform import open_platform

    report = explain_tweet(open_platform(settings), args.id)
    return report, describe_tweet(report, verbose=args.verbose)
