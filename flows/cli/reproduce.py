"""`itrp reproduce`: the paper's tables and figure, beside the published numbers."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp reproduce`."""
    parser = add_command(
        commands,
        "reproduce",
        "run the paper's tables and figure, beside the published numbers",
        "Runs what is missing and continues after a kill; writes a page with ours, published and difference of every cell.",
    )
    parser.add_argument("table", choices=("table3", "table4", "table5", "figure4", "all"))
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder with an ITR layout and a Twitter100k layout in it"
    )
    parser.add_argument(
        "--preset",
        choices=("paper", "code", "small"),
        default="paper",
        help="the paper's settings, its public code's, or small ones for a laptop (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=whole, default=6, help="number of seeds (default: %(default)s)")
    parser.add_argument(
        "--dual-encoder",
        "--joint",
        dest="joint",
        metavar="MODEL",
        help="CLIP or SigLIP, used zero-shot: hub id or folder",
    )
    parser.add_argument("--vlm", metavar="MODEL", help="vision-language model, used zero-shot: hub id or folder")
    parser.add_argument("--words", metavar="FILE", help="pretrained word vectors for the LSTM")
    parser.add_argument("--regions", metavar="FILE", help="npz of region features for LXMERT")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Run what is missing; status 1 where cells stay empty."""
    if args.seeds < 1:
        raise WrongUseError("--seeds expects at least one seed")
    flows = uses_flows()
    settings = start(args, flows=flows)
    given = (args.data, args.table, args.preset, args.seeds, args.joint, args.vlm, args.words, args.regions)
    if flows:
        from flows.reproduce import reproduce_itrp

        report = reproduce_itrp(*given)
    else:
        from flows.jobs.reproduction.tables import reproduce_tables
        from flows.platform import open_platform

        report = reproduce_tables(open_platform(settings), *given)
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "text"}
    if report.missing:
        figures["exit_status"] = 1
    told = f"{report.runs} runs ({report.new_runs} new), {report.cells} cells, {report.missing} not run"
    return figures, f"{report.text}\n\n{told}\npage: {report.page}\nnumbers: {report.csv}"
