"""`itrp promote`: challengers through the gate, champions moved."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp promote`."""
    parser = add_command(commands, "promote", "make the challenger the champion if it is better")
    parser.add_argument("task", nargs="?", choices=("text", "image"), help="one task; both by default")
    parser.add_argument("--data", metavar="NAME", help="labelled data set to decide on (default: the newest)")
    parser.add_argument(
        "--set", choices=("raw", "RM", "RL"), default="raw", help="test set to decide on (default: %(default)s)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="move nothing; show how many of the last scored labels would change"
    )
    parser.add_argument(
        "--to", metavar="VERSION", help="move the champion to this version without the gate (roll back)"
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="promote on label-free figures without a labelled data set, and in spite of warnings about the training",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Decide, and move the champion."""
    if args.to is not None and args.task is None:
        raise WrongUseError("--to VERSION needs the task it is for: itrp promote text --to 3")
    flows = uses_flows()
    settings = start(args, flows=flows)
    given: tuple[Any, ...] = (args.task or "both", args.data, args.set, args.dry_run, args.to, args.accept)
    if flows:
        from flows.promote import promote_models as promote_by_flow

        reports = promote_by_flow(*given)
    else:
        from flows.jobs.promotion import promote_models
        from flows.platform import open_platform

        reports = promote_models(open_platform(settings), *given)
    lines = []
    for report in reports:
        verdict = "promoted" if report.promoted else ("dry run" if args.dry_run else "not promoted")
        lines.append(
            f"{report.task}: {report.challenger} {verdict} (champion before: {report.champion or 'none'})\n  {report.reason}"
        )
        if report.preview is not None:
            lines.append(_describe_flips(report.preview.changed, report.preview.looked_at))
            lines += [
                f"    {each['id']}: {each['before']} -> {each['after']}: {each['text']!r}"
                for each in report.preview.examples
            ]
    return {"decisions": [dataclasses.asdict(report) for report in reports]}, "\n".join(lines)


def _describe_flips(changed: int, looked_at: int) -> str:
    return (
        f"  {changed} of the {looked_at} last scored labels would change" if looked_at else "  no tweet has a label yet"
    )
