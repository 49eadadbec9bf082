"""`itrp report`: a page on what the models have labelled."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, version_pair, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp report`."""
    parser = add_command(
        commands,
        "report",
        "write one HTML page on what the models have labelled: counts, days, tweets, how good, what next",
        "Writes a page that needs no other file and asks no address. Without random human labels it says that nobody knows how "
        "good the labels are, and what to do.",
    )
    parser.add_argument("--out", metavar="FILE.html", help="a new file (default: one in the work folder)")
    parser.add_argument("--data", metavar="NAME", help="data set (default: landing)")
    parser.add_argument(
        "--version",
        type=version_pair,
        metavar="TEXT,IMAGE",
        help="labels by these model versions, for example 3,2 (default: the pair that labelled last)",
    )
    parser.add_argument(
        "--run",
        metavar="ID",
        help="only what one flow run has labelled; newest: the last one (default: all of the pair's)",
    )
    parser.add_argument(
        "--seed", type=whole, default=0, help="seed of the tweets that are drawn (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file where there is one")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Write the page."""
    from pathlib import Path

    settings = start(args)
    from flows.jobs.review_files.report import write_report
    from flows.platform import open_platform
    from itrp.progress import ProgressBar

    with ProgressBar() as progress:
        report = write_report(
            open_platform(settings), Path(args.out) if args.out else None, data=args.data, version=args.version,
            run=args.run, seed=args.seed, overwrite=args.overwrite, progress=progress,
        )  # fmt: skip
    return asdict(report), str(report)
