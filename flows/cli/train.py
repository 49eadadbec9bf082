"""`itrp train`: one experiment on one data set, registered as challenger."""

import argparse
import dataclasses
import shlex
import sys
from typing import TYPE_CHECKING

from flows.cli.console import Report, log_server, start, uses_flows
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp train`."""
    parser = add_command(
        commands, "train", "train a model (ITRp without labels, or a baseline) and register it as challenger"
    )
    parser.add_argument("experiment", help="paper-text, small-image, paper-clip-text …; a wrong name prints the list")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],  # argparse would name it among the missing ones
        metavar="key=value",
        help="settings to change, for example seed=3 clustering.method=gmm",
    )
    parser.add_argument("--data", required=True, metavar="NAME", help="data set to train on")
    parser.add_argument(
        "--resume", action="store_true", help="continue where a killed run of the same settings and data stopped"
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Train and register."""
    from itrp.alignment.config import ALIGNED_CONFIGS
    from itrp.config import ExperimentConfig, override
    from itrp.experiments import find_trainable
    from itrp.models.head_config import LabelledHeadConfig

    config = override(find_trainable(args.experiment), args.overrides)
    unnamed = isinstance(config, ExperimentConfig)
    if args.watch is not None and not unnamed:
        args.watch.advice = f"{shlex.join(['itrp', *sys.argv[1:]])} starts from the beginning: no round of it is kept"
    flows = uses_flows()
    settings = start(args, flows=flows, told=f"{args.experiment} on {args.data}: loading libraries")
    from flows.jobs.datasets import find_data
    from flows.jobs.reviewed import refresh_if_reviewed
    from flows.platform import open_platform

    platform = open_platform(settings)
    refresh_if_reviewed(platform, args.data)
    find_data(platform.catalog, args.data)
    if flows:
        from flows.train import train_itrp

        log_server()
        report = train_itrp(args.experiment, args.data, args.overrides, args.resume)
    else:
        from flows.jobs.training import run_training

        report = run_training(platform, args.experiment, args.data, args.overrides, resume=args.resume)
    challengers = " ".join(f"{version.partition('/')[0]}@challenger" for version in report.models)
    aligned = isinstance(config, ALIGNED_CONFIGS)
    at_once = aligned or isinstance(config, LabelledHeadConfig)
    how = "" if at_once else f"{report.rounds} {'rounds' if unnamed else 'epochs'}, "
    following = (
        f"itrp evaluate {challengers} --data NAME {'gives its clusters class names' if unnamed else 'measures its F1'}"
    )
    if aligned and not report.warnings:
        following = "itrp promote text makes it the champion, which scores; itrp evaluate measures its F1 where there are labels"
    text = (
        f"{' and '.join(report.models)} (challenger) from {report.experiment} on {args.data}: {how}MLflow run "
        f"{report.run_id}\nnext: {following}"
    )
    if unnamed:
        shown = " and ".join(f"itrp name {version}" for version in report.models)
        text += f"\nwithout labels: look at its clusters with {shown}"
    text = "\n".join([text, *report.notes, *(f"warning: {warning}" for warning in report.warnings)])
    return dataclasses.asdict(report), text
