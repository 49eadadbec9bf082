"""`itrp deploy`: the production stack set up on its servers."""

import argparse
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import add_command
from infra.errors import SettingsError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp deploy`."""
    parser = add_command(
        commands,
        "deploy",
        "create work pools, deployments, automations and MLflow's webhook on the servers",
        "PREFECT_API_URL names the Prefect server. You may run it again at any time: what people have changed in the page "
        "(schedules, paused automations, the type of a work pool) stays.",
    )
    parser.add_argument("--reset-schedules", action="store_true", help="restore the original schedules")


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Put work pools, deployments, automations and MLflow's webhook on the servers."""
    settings = start(args, flows=True)
    from prefect.settings import get_current_settings

    if not get_current_settings().api.url:
        raise SettingsError(
            "PREFECT_API_URL: expected the address of a Prefect server, such as http://host:4200/api; set it"
        )
    from flows.deployment.automations import apply_automations
    from flows.deployment.deployments import apply_deployments, describe_plans
    from flows.deployment.registry_webhook import apply_webhook
    from flows.platform import open_platform

    open_platform(settings)  # brings the catalog's tables up to date before any worker needs them
    deployments = apply_deployments(reset_schedules=args.reset_schedules)
    notify_url = settings.notify_url.get_secret_value() if settings.notify_url else None
    automations = apply_automations(deployments, notify_url)
    webhook = apply_webhook(settings)
    report: Report = {
        "deployments": {name: str(number) for name, number in deployments.items()},
        "automations": automations,
        "webhook": webhook,
    }
    lines = [
        "deployments:",
        *(f"  {line}" for line in describe_plans()),
        "automations:",
        *(f"  {name}" for name in automations),
    ]
    lines.append(
        f"MLflow's webhook: {webhook or 'none (needs ITRP_BRIDGE_URL and ITRP_WEBHOOK_SECRET); the registry is polled'}"
    )
    lines.append(
        "a deployment's bare name works in every folder after: prefect config set PREFECT_PLUGINS_ENABLED=true"
    )
    return report, "\n".join(lines)
