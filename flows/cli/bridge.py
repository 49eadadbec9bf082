"""`itrp bridge`: MLflow's webhook served and the bucket listened to."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp bridge`."""
    parser = add_command(
        commands,
        "bridge",
        "serve MLflow's webhook and listen to the bucket, so that moved champions and new tweets start their runs at once",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=whole, default=4300, help="port to listen at (default: %(default)s)")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Serve until a signal comes."""
    settings = start(args, flows=True)
    from flows.deployment.bridge import serve

    serve(settings, args.host, args.port)
    return {"stopped": True}, "stopped"
