"""`itrp score`: what is new in the landing zone ingested and labelled."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp score`."""
    parser = add_command(commands, "score", "ingest what is new in the landing zone and label it, every tweet once")
    parser.add_argument(
        "--backfill", action="store_true", help="label everything that the current champions have not labelled"
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="ingest nothing, and label all of this stored data set that the current champions have not labelled",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="label in this process, or spread the shards over a Ray cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="auto, host:port or ray://host:port; by default a cluster of this machine",
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Ingest and label."""
    if args.ray_address and args.engine != "ray":
        raise WrongUseError("--ray-address is the address of a Ray cluster: it needs --engine ray")
    flows = uses_flows()
    settings = start(args, flows=flows)
    from flows.jobs.ingestion.report import describe

    if flows:
        from flows.score import score_tweets

        report = score_tweets(args.backfill, args.engine, args.ray_address, args.data)
    else:
        from flows.jobs.scoring import run_scoring
        from flows.platform import open_platform

        report = run_scoring(open_platform(settings), args.backfill, args.engine, args.ray_address, args.data)
    lines = [
        f"{report.pairs} tweets in {report.shards} shards labelled by text {report.text_version}, image {report.image_version}"
    ]
    from itrp.labels import RELATIONS

    lines += [f"  {code}  {count:7d}  {RELATIONS[code]}" for code, count in report.counts.items()]
    if report.set_aside:
        lines += [
            f"{report.set_aside} tweets set aside without labels:",
            *(f"  {line}" for line in report.set_aside_lines),
        ]
    if args.data is None:
        lines += ["ingested before:", *(f"  {line}" for line in describe(report.ingested).splitlines())]
    lines += [f"attention: {warning}" for warning in report.warnings]
    return dataclasses.asdict(report), "\n".join(lines)
