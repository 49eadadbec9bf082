"""`itrp sample`: tweets to label in a spreadsheet."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands

QUEUES = ("random", "least-certain", "disagree", "clusters", "errors")


def add_parser(commands: "Commands") -> None:
    """`itrp sample`."""
    parser = add_command(
        commands,
        "sample",
        "write tweets to label in a spreadsheet: a CSV, small pictures, guidelines",
        "Writes tweets.csv with empty columns for the answers, tweets.html, pictures/ and README.txt. No label of a "
        "model or another person is shown. `itrp import-labels` takes the filled-in table back.",
    )
    parser.add_argument("number", type=whole, metavar="N", help="how many tweets")
    parser.add_argument(
        "--queue",
        choices=QUEUES,
        default="random",
        help="which tweets: drawn at random, the only ones that measure a model; those the newest models are least certain of; "
        "those on which two pairs of models disagree; 12 of each relation; labels that `itrp analyse errors` doubts "
        "(default: %(default)s)",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument("--data", metavar="NAME", help="data set (default: landing)")
    parser.add_argument("--person", metavar="NAME", help="who is going to label (default: your user name)")
    parser.add_argument(
        "--people", type=whole, default=1, metavar="N", help="leave out tweets that N others have answered (default: 1)"
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Draw and write."""
    from pathlib import Path

    settings = start(args)
    from flows.jobs.review_files.sample import draw_sample
    from flows.platform import open_platform
    from itrp.progress import ProgressBar

    with ProgressBar() as progress:
        report = draw_sample(
            open_platform(settings), args.number, args.queue, Path(args.out), data=args.data, person=args.person,
            people=args.people, progress=progress,
        )  # fmt: skip
    return dataclasses.asdict(report), str(report)
