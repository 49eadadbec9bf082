"""The grammar of the commands of the production stack."""

from typing import TYPE_CHECKING

from flows.cli.parsing import add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_deploy(commands: "Commands") -> None:
    """`itrp deploy`."""
    parser = add_command(
        commands,
        "deploy",
        "put work pools, deployments, automations and MLflow's webhook on the servers",
        "The Prefect server is the one PREFECT_API_URL names. May be run again at any time: what people have changed in the "
        "page (schedules, paused automations, the type of a work pool) stays.",
    )
    parser.add_argument(
        "--reset-schedules", action="store_true", help="put the schedules back to what they are at first"
    )


def add_bridge(commands: "Commands") -> None:
    """`itrp bridge`."""
    parser = add_command(
        commands,
        "bridge",
        "serve MLflow's webhook and listen to the bucket: moved champions and new tweets start their runs at once",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=whole, default=4300, help="port to listen at (default: %(default)s)")
