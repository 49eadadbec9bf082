"""`itrp doctor`: each part, whether it answers, and the next step."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp doctor`."""
    add_command(commands, "doctor", "show each part, whether it answers, and the next step where it does not")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Examine all parts; status 1 where one fails."""
    settings = start(args)
    from flows.jobs.doctor import examine
    from flows.runtime.prefect_parts import PREFECT_PARTS

    checks = examine(settings, PREFECT_PARTS)
    report: Report = {"ok": all(check.ok for check in checks), "parts": [dataclasses.asdict(check) for check in checks]}
    report["exit_status"] = 0 if report["ok"] else 1
    return report, "\n".join(f"{check.mark:4s} {check.part:14s} {check.told}" for check in checks)
