"""`itrp zero-shot`: a model that is asked without training, against human labels."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp zero-shot`."""
    parser = add_command(
        commands,
        "zero-shot",
        "evaluate a model without training it: CLIP, SigLIP, or a vision-language model",
        "A dual encoder (CLIP, SigLIP) predicts by one similarity threshold a task, a vision-language model by the likelihood of "
        "the four relations. The table also has the most frequent class, and what 1,000 tweets cost.",
    )
    parser.add_argument("model", metavar="MODEL", help="hub id or folder")
    parser.add_argument("--data", required=True, metavar="NAME", help="data set with human labels")
    parser.add_argument(
        "--protocol",
        choices=("dev", "oracle"),
        default="dev",
        help="whose labels choose the threshold: the train split's or the test set's (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        choices=("raw", "RM", "RL"),
        default="raw",
        help="test set: as published, controversial removed, relabelled (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Evaluate it."""
    flows = uses_flows()
    settings = start(args, flows=flows)
    if flows:
        from flows.zero_shot import evaluate_zero_shot

        report = evaluate_zero_shot(args.model, args.data, args.protocol, args.set)
    else:
        from flows.jobs.zero_shot import run_zero_shot
        from flows.platform import open_platform

        report = run_zero_shot(
            open_platform(settings), args.model, args.data, protocol=args.protocol, set_name=args.set
        )
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "table"}
    return figures, f"{report.table}\nMLflow run: {report.run_id}"
