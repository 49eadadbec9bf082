"""`itrp evaluate`: models against human labels."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import REFERENCE, add_command, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands
    from flows.platform import Platform


def add_parser(commands: "Commands") -> None:
    """`itrp evaluate`."""
    parser = add_command(
        commands,
        "evaluate",
        "compare models with human labels; give a new model its class names",
        "Evaluates one model on its task, a text and an image model together on the image-text task. Under dev and last, a model "
        "whose clusters have no class names yet gets them as a new version, the new challenger.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help=REFERENCE)
    parser.add_argument(
        "--data",
        required=True,
        metavar="NAME",
        help="data set with human labels; without any, --map-with MODEL gives class names",
    )
    chooser = parser.add_mutually_exclusive_group()
    chooser.add_argument(
        "--protocol",
        choices=("dev", "oracle", "last"),
        default="dev",
        help="who chooses mapping and checkpoint (default: %(default)s)",
    )
    chooser.add_argument(
        "--map-with",
        type=_naming,
        metavar="N_OR_MODEL",
        help="instead of a protocol: choose mapping and checkpoint with N labelled pairs of the train split (reported as "
        "dev-N), or the last checkpoint's mapping with a dual encoder, the hub id or folder of a CLIP or SigLIP, without labels "
        "(reported as joint)",
    )
    parser.add_argument("--seed", type=whole, default=0, help="seed of the draw of --map-with N (default: %(default)s)")
    parser.add_argument(
        "--set",
        choices=("raw", "RM", "RL"),
        default="raw",
        help="test set: as published, controversial removed, relabelled (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Evaluate; a new model gets its class names."""
    from serving.registry import parse_reference

    for reference in args.models:
        parse_reference(reference)
    flows = uses_flows()
    settings = start(args, flows=flows)
    if args.map_with is not None and not args.map_with.isdecimal():
        from flows.jobs.datasets import find_data
        from flows.jobs.reviewed import refresh_if_reviewed
        from flows.platform import open_platform

        platform = open_platform(settings)
        refresh_if_reviewed(platform, args.data)
        if find_data(platform.catalog, args.data).dataset.annotations_key is None:
            return _name_unlabelled(platform, args)
    if flows:
        from flows.evaluate import evaluate_itrp

        report = evaluate_itrp(args.models, args.data, args.protocol, args.set, args.map_with, args.seed)
    else:
        from flows.jobs.evaluation import run_evaluation
        from flows.platform import open_platform

        report = run_evaluation(
            open_platform(settings), args.models, args.data,
            protocol=args.protocol, set_name=args.set, map_with=args.map_with, seed=args.seed,
        )  # fmt: skip
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key not in ("table", "ranking_table")}
    lines = [report.table, report.caution, report.ranking_table, report.naming, f"models: {', '.join(report.models)}"]
    return figures, "\n".join(filter(None, lines))


def _name_unlabelled(platform: "Platform", args: argparse.Namespace) -> tuple[Report, str]:
    """Class names by similarity on a data set without human labels, where nothing can be measured: what `itrp name` does."""
    from flows.jobs.naming import name_by_similarity

    versions = [platform.registry.resolve(reference) for reference in args.models]
    named = [str(version) for version in versions if version.mapping is not None]
    if named:
        raise WrongUseError(
            f"expected human labels in {args.data!r} to evaluate {' and '.join(named)} on, whose clusters have their names "
            f"already: give another data set; itrp name {named[0]} --map-with {args.map_with} --data {args.data} names them anew"
        )
    reports = [name_by_similarity(platform, str(version), args.map_with, data=args.data) for version in versions]
    told = [f"{args.data} has no human labels: class names only, nothing is measured", *map(str, reports)]
    return {"named": [dataclasses.asdict(report) for report in reports]}, "\n".join(told)


def _naming(text: str) -> str:
    """A number of 1 or more, or the name of a model."""
    if not text.strip() or (text.isdecimal() and int(text) < 1):
        raise argparse.ArgumentTypeError(f"expected at least 1 labelled pair, or a model, found {text!r}")
    return text
