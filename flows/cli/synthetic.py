"""`itrp synthetic`: synthetic tweets with known truth."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp synthetic`."""
    parser = add_command(commands, "synthetic", "write synthetic tweets with known truth")
    parser.add_argument("folder", metavar="DIR", help="a folder that does not exist yet or is empty")
    parser.add_argument(
        "--layout", choices=("itr", "twitter100k", "landing"), required=True, help="layout of the files"
    )
    parser.add_argument("--pairs", type=whole, required=True, help="number of tweets, 20 to 100000")
    parser.add_argument(
        "--seed", type=whole, default=0, help="the same seed draws the same tweets (default: %(default)s)"
    )
    parser.add_argument(
        "--margins",
        choices=("natural", "matched"),
        default="natural",
        help="matched: every text and every image stands in one pair that matches and in one that does not, so that neither "
        "alone tells whether the text is represented; pairs in multiples of 20 (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Write a folder of tweets."""
    from pathlib import Path

    start(args, private=False)
    from itrp.datasets import synthetic
    from itrp.progress import ProgressBar

    writers: dict[str, Callable[..., Path]] = {
        "itr": synthetic.write_itr_layout,
        "twitter100k": synthetic.write_twitter100k_layout,
        "landing": synthetic.write_landing_layout,
    }
    drawn = 0

    def count(more: int) -> None:  # says nothing before the first tweet: wrong use is one line
        nonlocal drawn
        drawn += more
        bar("tweets drawn", drawn, args.pairs)

    with ProgressBar() as bar:
        folder = writers[args.layout](Path(args.folder), args.pairs, args.seed, count, margins=args.margins)
    matched = " with matched margins" if args.margins == "matched" else ""
    text = (
        f"{args.pairs} tweets{matched} in the layout {args.layout} in {folder}; the truth is in {folder / 'truth.csv'}"
    )
    return {
        "folder": str(folder),
        "layout": args.layout,
        "pairs": args.pairs,
        "seed": args.seed,
        "margins": args.margins,
    }, text
