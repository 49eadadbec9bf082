"""What every command begins with: settings read, environment and console ready."""

import argparse
import logging
from typing import Any

logger = logging.getLogger(__name__)

Report = dict[str, Any]
"""What a command found out: printed as JSON, or by its own text."""


def start(args: argparse.Namespace, *, flows: bool = True, private: bool = True, told: str = "") -> Any:
    """Settings read, environment and console ready; returns the settings.

    private: unless it is set, new files are as readable as the user has it. told: what is said of the work before the imports,
    which take seconds.
    """
    from flows.runtime.orchestration import configure_console, prepare_environment
    from infra.logs import configure_logging
    from infra.settings import load_settings
    from infra.work_folder import keep_private, make_work_folder

    settings = load_settings()
    prepare_environment(settings, verbose=args.verbose)
    if private:
        keep_private(settings)
    if told:
        configure_logging(args.verbose, settings.secrets)
        logger.info("%s", told)
    if flows:
        make_work_folder(settings)
        configure_console(settings, verbose=args.verbose)
    else:
        configure_logging(args.verbose, settings.secrets)
    return settings


def tell_server() -> None:
    """Say what is waited for before the first line of a flow: where none is configured, a Prefect server of its own."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    logger.info("%s", f"asking the Prefect server {url}" if url else "starting a Prefect server for this command")
