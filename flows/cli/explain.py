"""`itrp explain`: a tweet traced back to models, data and the object it came in."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp explain`."""
    parser = add_command(commands, "explain", "trace a tweet's labels back to models, data and the object it came in")
    parser.add_argument("id", help="tweet id")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Everything known of a tweet."""
    settings = start(args)
    import yaml

    from flows.jobs.explain import explain_tweet
    from flows.platform import open_platform

    report = explain_tweet(open_platform(settings), args.id)
    return report, yaml.safe_dump(report, sort_keys=False, allow_unicode=True, width=120).rstrip()
