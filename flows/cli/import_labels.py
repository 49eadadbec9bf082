"""`itrp import-labels`: people's labels from a file."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands

QUEUES = ("random", "least-certain", "disagree", "clusters", "errors", "browse", "import")


def add_parser(commands: "Commands") -> None:
    """`itrp import-labels`."""
    parser = add_command(
        commands,
        "import-labels",
        "read people's labels from a table, JSON Lines or Label Studio's export",
        "Takes CSV, TSV, JSON, JSON Lines and Parquet with an id and text_is_represented, image_adds or relation in any "
        "combination (1 and 0, yes and no, class names), and Label Studio's JSON export. Unknown ids and bad rows are listed and "
        "stop nothing; importing a file again enters nothing.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--data", metavar="NAME", help="data set of the tweets (default: the one that holds most ids)")
    parser.add_argument(
        "--person", metavar="NAME", help="whose labels they are, where the file does not say (default: your user name)"
    )
    parser.add_argument(
        "--queue",
        choices=QUEUES,
        help="how the tweets were chosen, where the file does not say (default: import). Only labels of tweets drawn at random "
        "measure a model: a file of `itrp sample` says it itself",
    )
    parser.add_argument(
        "--column",
        type=_column,
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="which column holds what, for example id=nr or image_adds=q2; roles: id, text_is_represented, image_adds, relation, "
        "person, queue, seconds, note",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Import, and say what became of each row."""
    from pathlib import Path

    from itrp.datasets.label_files import LabelFileReader

    columns = dict(args.column)
    LabelFileReader(Path(args.file), columns)  # a file that cannot be one is told before anything starts
    settings = start(args)
    from flows.jobs.review_files.import_labels import import_labels
    from flows.platform import open_platform
    from itrp.progress import ProgressBar, count_stage

    with ProgressBar() as bar:
        report = import_labels(
            open_platform(settings).catalog, Path(args.file), data=args.data, person=args.person, queue=args.queue,
            columns=columns, count=count_stage(bar, "rows read"),
        )  # fmt: skip
    status: Report = {"exit_status": 1} if report.has_failed else {}
    return {**report.as_json(), **status}, str(report)


def _column(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected ROLE=NAME, for example image_adds=q2, found {text[:40]!r}")
    return role, name
