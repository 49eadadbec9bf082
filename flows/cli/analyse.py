"""`itrp analyse`: labels, words and disagreements looked at."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import REFERENCE, OneLineParser, add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp analyse`."""
    parser = commands.add_parser(
        "analyse",
        help="analyse labels, words and disagreements: tables, images and pages",
        description="Each analysis writes PNG or HTML and its numbers as CSV, and logs them to MLflow. All take --out DIR and "
        "--json; `itrp analyse WHAT --help` explains each.",
    )
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT", parser_class=OneLineParser)
    agreement = add_command(whats, "agreement", "how far annotators agree: Krippendorff's alpha of a table of labels")
    agreement.add_argument("table", metavar="TABLE.csv", help="one column an annotator, or rows item,annotator,label")
    agreement.add_argument("--level", choices=("nominal", "ordinal", "interval"), help="default: nominal")
    clip = add_command(whats, "clip", "how good the labels are: text-image similarity by CLIP against the relation")
    # --joint is its former name
    clip.add_argument(
        "--dual-encoder",
        "--joint",
        dest="joint",
        required=True,
        metavar="MODEL",
        help="hub id or folder of a CLIP or SigLIP",
    )
    words = add_command(whats, "words", "which words go with which class, for models and people, as word clouds")
    words.add_argument("--fewest-tweets", type=whole, metavar="N", help="leave out words of fewer tweets (default: 10)")
    cases = add_command(whats, "cases", "where models and people differ: a page with the images")
    cases.add_argument("--examples", type=whole, metavar="N", help="how many to show of each group (default: 6)")
    errors = add_command(whats, "errors", "which labels are probably wrong, by confident learning")
    for each in (clip, words, cases, errors):
        each.add_argument("--data", required=True, metavar="NAME", help="data set with human labels")
    for each in (words, cases, errors):
        each.add_argument("--models", nargs="+", metavar="MODEL", help=f"{REFERENCE} (default: the champions)")
    for each in (agreement, clip, words, cases, errors):
        each.add_argument("--out", metavar="DIR", help="folder to write to (default: one in the work folder)")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """One analysis of labels, words or disagreements."""
    from serving.registry import parse_reference

    names = ("data", "models", "table", "level", "joint", "fewest_tweets", "examples", "out")
    given = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    for reference in given.get("models", ()):
        parse_reference(reference)
    if "table" in given:  # a wrong path or form is told before anything starts
        from pathlib import Path

        from itrp.analysis.annotators import read_annotation_tables

        read_annotation_tables(Path(given["table"]))
    flows = uses_flows()
    settings = start(args, flows=flows)
    if flows:
        from flows.analyse import analyse_tweets

        report = analyse_tweets(args.what, **given)
    else:
        from flows.jobs.analysis import run_analysis
        from flows.platform import open_platform

        report = run_analysis(open_platform(settings), args.what, **given)
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "summary"}
    notes = [f"note: {note}" for note in report.notes]
    written = f"{', '.join(report.files)} in {report.folder}; MLflow run {report.run_id}"
    return figures, "\n".join([report.summary, *notes, written])
