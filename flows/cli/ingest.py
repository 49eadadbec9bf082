"""`itrp ingest`: tweets with images become checked shards."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp ingest`."""
    parser = add_command(
        commands,
        "ingest",
        "check tweets with images and store them as shards",
        "itrp ingest landing | itrp ingest twitter100k DIR --name N | "
        "itrp ingest itr LABELS.csv --images DIR [--controversial FILE] --name N | "
        "itrp ingest ltec ltec-image-text-relation.json --images DIR --name N | "
        "itrp ingest rated-captions DIR --name N | itrp ingest captions-match DIR --name N | "
        "itrp ingest csv FILE --name N [--id COL] [--text COL] [--image COL] [--created-at COL]",
    )
    parser.add_argument(
        "layout",
        nargs="?",
        choices=("landing", "twitter100k", "itr", "ltec", "rated-captions", "captions-match", "csv"),
        default="landing",
        help="where the tweets lie",
    )
    parser.add_argument(
        "path",
        nargs="?",
        help="Twitter100k's folder (text.txt, images/), ITR's or LTEC's label file, a folder of captions (pairs.csv, images/), "
        "or a table (CSV, TSV or Parquet)",
    )
    parser.add_argument("--name", help="name of the data set")
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="ITR: folder of T<tweet id>.jpg; LTEC: folder of its unpacked images; csv: folder that the images' paths start "
        "from, if it is not the table's",
    )
    parser.add_argument("--controversial", metavar="FILE", help="ITR: the relabelling list (controversial_samples.txt)")
    parser.add_argument(
        "--texts", metavar="FILE", help="ITR: CSV or JSONL with tweet_id and tweet, for the label file without texts"
    )
    for option, holds in (
        ("--id", "ids"),
        ("--text", "texts"),
        ("--image", "image files"),
        ("--created-at", "times"),
    ):
        parser.add_argument(option, metavar="COL", help=f"csv: column with the {holds}, if it has no usual name")
    parser.add_argument(
        "--shard-pairs",
        metavar="N",
        type=whole,
        help="pairs a shard, 2,000 unless said otherwise: work is done, kept and tried again a shard at a time",
    )
    parser.add_argument("--replay", action="store_true", help="landing: try the quarantined tweets again")
    parser.add_argument(
        "--start-after",
        metavar="KEY",
        default="",
        help="landing: skip all keys up to this one, for example landing/2026-11-24/",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """The landing zone, its quarantine, or a data set in a folder."""
    columns = _check(args)
    flows = uses_flows()
    settings = start(args, flows=flows)
    from flows.jobs.ingestion.report import describe
    from flows.jobs.ingestion.run import open_folder, run_ingestion

    given = {
        "images": args.images,
        "controversial": args.controversial,
        "texts": args.texts,
        "columns": columns or None,
    }
    size = {} if args.shard_pairs is None else {"shard_pairs": args.shard_pairs}
    if args.layout != "landing":  # wrong paths are told before anything starts
        open_folder(args.layout, args.path, **given)
    given |= {"replay": args.replay, "start_after": args.start_after, **size}
    if flows:
        from flows.ingest import ingest_tweets

        report = ingest_tweets(args.layout, args.path, args.name, **given)
    else:
        from flows.platform import open_platform

        platform = open_platform(settings)
        report = run_ingestion(platform.store, platform.catalog, args.layout, args.path, args.name, **given)
    return dataclasses.asdict(report), describe(report)


def _check(args: argparse.Namespace) -> dict[str, str]:
    """The columns named. Raises WrongUseError for options that do not belong to the layout."""
    if args.layout != "landing" and args.replay:
        raise WrongUseError("--replay tries the landing zone's quarantine again: itrp ingest landing --replay")
    if args.start_after and (args.layout != "landing" or args.replay):
        raise WrongUseError("--start-after skips old keys of the landing zone: itrp ingest landing --start-after KEY")
    if args.layout == "landing" and any((args.path, args.name, args.images, args.controversial, args.texts)):
        raise WrongUseError("itrp ingest landing takes no path and no name: it reads landing/ of the object store")
    if args.layout != "landing" and not (args.path and args.name):
        raise WrongUseError(
            f"itrp ingest {args.layout} needs a path and a name: itrp ingest {args.layout} PATH --name NAME"
        )
    columns = {role: getattr(args, role) for role in ("id", "text", "image", "created_at") if getattr(args, role)}
    if columns and args.layout != "csv":
        raise WrongUseError(
            "--id, --text, --image and --created-at name columns of a table: itrp ingest csv FILE --name NAME"
        )
    if args.layout == "csv" and (args.controversial or args.texts):
        raise WrongUseError("itrp ingest csv takes neither --controversial nor --texts: they belong to ITR")
    return columns
