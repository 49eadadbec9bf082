"""`itrp export`: labelled tweets as a file."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, version_pair, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands

LABEL_STUDIO = "label-studio"


def add_parser(commands: "Commands") -> None:
    """`itrp export`."""
    parser = add_command(
        commands,
        "export",
        "write tweets with the models' labels and people's to a CSV, JSON Lines or Parquet file, or for Label Studio",
        "Writes id, text, date, language, picture, each tweet's newest label with its probabilities and versions, and people's "
        "settled labels with how many people stand behind them. Ids are text: read a CSV with dtype=str.",
    )
    parser.add_argument("--out", metavar="FILE", help="a new file that ends in .csv, .jsonl or .parquet")
    parser.add_argument(
        "--format",
        choices=(LABEL_STUDIO,),
        help="tasks with predictions and annotations in FILE.json, and the labelling interface beside it",
    )
    parser.add_argument(
        "--label-studio-config",
        action="store_true",
        help="print Label Studio's labelling interface and do nothing else",
    )
    parser.add_argument("--data", metavar="NAME", help="data set (default: landing)")
    parser.add_argument("--since", metavar="DATE", help="only tweets written since then, for example 2026-11-29")
    parser.add_argument(
        "--version",
        type=version_pair,
        metavar="TEXT,IMAGE",
        help="only labels by these model versions, for example 3,2",
    )
    parser.add_argument(
        "--relation", choices=("00", "01", "10", "11"), action="append", default=[],
        help="only tweets with this relation by the models: text represented (0, 1), then image adds (0, 1)",
    )  # fmt: skip
    parser.add_argument("--human-only", action="store_true", help="only tweets that people have labelled")
    parser.add_argument("--pictures", metavar="FOLDER", help="write the pictures too, named by their tweets' ids")
    parser.add_argument(
        "--picture-size",
        type=whole,
        default=640,
        metavar="PIXELS",
        help="longest side of a written picture; 0: the bytes as they came (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file where there is one")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Write, or print the labelling interface."""
    from pathlib import Path

    if args.label_studio_config:
        from itrp.datasets.label_files.label_studio import LABELLING_CONFIG

        return {"config": LABELLING_CONFIG}, LABELLING_CONFIG.rstrip()
    if args.out is None:
        raise WrongUseError("expected a file to write to: itrp export --out FILE.csv")
    settings = start(args)
    from flows.jobs.quarantine import parse_since
    from flows.jobs.review_files.export import check_export, export_labels
    from flows.jobs.review_files.export_rows import ExportFilter
    from flows.jobs.review_files.pictures import PictureFolder
    from flows.platform import open_platform
    from itrp.progress import ProgressBar

    out = Path(args.out)
    check_export(out, args.format, overwrite=args.overwrite)
    since = parse_since(args.since) if args.since else None
    chosen = ExportFilter(since, args.version, tuple(args.relation), args.human_only)
    pictures = PictureFolder(Path(args.pictures), args.picture_size) if args.pictures else None
    with ProgressBar() as progress:
        report = export_labels(
            open_platform(settings), out, chosen, form=args.format, data=args.data, pictures=pictures,
            overwrite=args.overwrite, progress=progress,
        )  # fmt: skip
    return asdict(report), str(report)
