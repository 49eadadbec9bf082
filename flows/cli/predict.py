"""`itrp predict`: one model's labels for a data set, as a file."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import REFERENCE, add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp predict`."""
    parser = add_command(
        commands,
        "predict",
        "write one model's labels for a data set to a CSV or Parquet file",
        "Writes id, label (0 or 1), class, probability (of class 1, whatever the label) and, of pairs whose image cannot be "
        "decoded, the reason instead. No champion is needed, and the ledger of `itrp score` is left alone. Ids are text: a "
        "spreadsheet keeps their last digits only where the column is imported as text.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=f"{REFERENCE}; or text or image: that task's champion, before there is one its challenger",
    )
    parser.add_argument("--data", required=True, metavar="NAME", help="data set, with or without human labels")
    parser.add_argument("--out", required=True, metavar="FILE", help="a new file that ends in .csv or .parquet")
    parser.add_argument("--overwrite", action="store_true", help="replace the file where there is one")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Label and write."""
    from pathlib import Path

    from serving.prediction_file import check_prediction_file
    from serving.registry import parse_reference

    if args.model not in ("text", "image"):
        parse_reference(args.model)
    check_prediction_file(Path(args.out), overwrite=args.overwrite)
    settings = start(args, told=f"{args.model} on {args.data}: loading libraries")
    from flows.jobs.prediction import run_prediction
    from flows.platform import open_platform
    from itrp.progress import ProgressBar

    with ProgressBar() as progress:
        report = run_prediction(
            open_platform(settings), args.model, args.data, Path(args.out), overwrite=args.overwrite, progress=progress
        )
    return dataclasses.asdict(report), str(report)
