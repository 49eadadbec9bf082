"""`itrp quarantine`: the tweets that were rejected, by reason."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start, uses_flows
from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


SHOWN = 10
"""Rows of each reason that a person sees without asking for more."""


def add_parser(commands: "Commands") -> None:
    """`itrp quarantine`."""
    parser = add_command(
        commands,
        "quarantine",
        "list the rejected tweets by reason, each with its remedy; try them again",
        "Prints each reason with its remedy, and its tweets with their object and line. With --replay, first tries all tweets of "
        "the landing zone again and then lists the rest.",
    )
    parser.add_argument("--reason", metavar="CODE", help="only this reason, for example image_missing")
    parser.add_argument(
        "--since", metavar="DATE", help="only rejections since then, for example 2026-11-29 or 2026-11-29T18:00"
    )
    parser.add_argument("--data", metavar="NAME", help="only this data set")
    parser.add_argument(
        "--limit",
        type=whole,
        metavar="N",
        help=f"show at most N tweets of each reason (default: {SHOWN}; with --json all)",
    )
    parser.add_argument(
        "--replay", action="store_true", help="first try the landing zone's tweets again, as `itrp ingest --replay`"
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Replay where asked, then list."""
    from flows.jobs.quarantine import QuarantineFilter, describe_quarantine, list_quarantine, parse_since

    chosen = QuarantineFilter(args.reason, parse_since(args.since) if args.since else None, args.data)
    flows = args.replay and uses_flows()
    settings = start(args, flows=flows)
    from flows.platform import open_platform

    platform = open_platform(settings)
    catalog = platform.catalog
    limit = args.limit if args.limit is not None or args.json else SHOWN
    groups = list_quarantine(catalog, chosen, limit)  # wrong use is told before anything is tried
    report: Report = {}
    told = ""
    if args.replay:
        if flows:
            from flows.ingest import ingest_tweets

            tried = ingest_tweets("landing", replay=True)
        else:
            from flows.jobs.ingestion.run import run_ingestion

            tried = run_ingestion(platform.store, catalog, "landing", replay=True)
        groups = list_quarantine(catalog, chosen, limit)
        report["replay"] = dataclasses.asdict(tried)
        told = (
            f"{tried.lines} tried again = {tried.pairs} stored + {tried.duplicates} duplicates + {tried.quarantined} "
            "rejected\n"
        )
    report["quarantined"] = sum(group.count for group in groups)
    report["reasons"] = [dataclasses.asdict(group) for group in groups]
    return report, told + describe_quarantine(groups)
