"""`itrp agreement`: how far the models of several seeds agree."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp agreement`."""
    parser = add_command(
        commands,
        "agreement",
        "measure how far the models of several seeds agree: a figure of quality that needs no labels",
        "Compares the version that scores (or, without one, the newest) with the newest version of each other seed of the same "
        "experiment, settings and data, on the newest unlabelled tweets (2,000 at most), clusters aligned.",
    )
    parser.add_argument("task", nargs="?", choices=("text", "image"), help="one task; both by default")
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="data set to compare on (default: landing, or the training data while there is none)",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Measure and log."""
    flows = uses_flows()
    settings = start(args, flows=flows)
    from flows.platform import open_platform

    platform = open_platform(settings)
    if args.data is not None:
        from flows.jobs.datasets import find_data

        find_data(platform.catalog, args.data)
    if flows:
        from flows.agreement import watch_agreement as watch_by_flow

        reports = watch_by_flow(args.task or "both", args.data)
    else:
        from flows.jobs.agreement_watch import watch_agreement

        reports = watch_agreement(platform, args.task or "both", args.data)
    return {"agreements": [dataclasses.asdict(report) for report in reports]}, "\n".join(map(str, reports))
