"""What every command begins with: settings read, environment and console ready."""

import argparse
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.settings import Settings

logger = logging.getLogger(__name__)

Report = dict[str, Any]
"""What a command found out: printed as JSON, or by its own text."""


def uses_flows() -> bool:
    """Whether a Prefect server is configured: then the command runs its flow, else the flow's job, without Prefect."""
    from flows.runtime.server_address import find_server

    return find_server() is not None


def start(args: argparse.Namespace, *, flows: bool = False, private: bool = True, told: str = "") -> "Settings":
    """Settings read, environment and console ready; returns the settings.

    flows: Prefect is going to run, and is imported. private: unless it is set, new files are as readable as the user has it.
    told: what is said of the work before the imports, which take seconds.
    """
    from flows.runtime.orchestration import configure_console, prepare_environment
    from infra.logs import configure_logging
    from infra.settings import load_settings
    from infra.work_folder import keep_private, make_work_folder

    settings = load_settings()
    prepare_environment(settings, verbose=args.verbose)
    if private:
        keep_private(settings)
    configure_logging(args.verbose, settings.secrets)
    if told:
        logger.info("%s", told)
    if flows:
        make_work_folder(settings)
        configure_console(settings, verbose=args.verbose)
    return settings


def log_server() -> None:
    """Say what is waited for before the first line of a flow."""
    from flows.runtime.server_address import find_server

    logger.info("connecting to the Prefect server %s", find_server())
