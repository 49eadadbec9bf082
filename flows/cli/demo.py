"""`itrp demo`: the whole chain on synthetic tweets."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp demo`."""
    parser = add_command(
        commands, "demo", "run the whole chain on synthetic tweets, in a few minutes, with nothing to start"
    )
    parser.add_argument(
        "--folder",
        default="itrp-demo",
        help="where everything goes; emptied first if a demo made it (default: %(default)s)",
    )
    parser.add_argument("--seed", type=whole, default=1, help="seed of the synthetic tweets (default: %(default)s)")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Through the flows, on a Prefect server of its own where none is configured."""
    from flows.demo import prepare_demo, run_demo

    prepare_demo(args.folder)
    start(args, flows=True)
    report = run_demo(args.folder, args.seed)
    return report.figures, report.text
