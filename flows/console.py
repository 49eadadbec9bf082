"""What every command begins with: settings read, environment and console ready."""

import argparse
from typing import Any

Report = dict[str, Any]
"""What a command found out: printed as JSON, or by its own text."""


def start(args: argparse.Namespace, *, flows: bool = True, private: bool = True) -> Any:
    """Settings read, environment and console ready; returns the settings. Unless `private`, new files are as readable as
    the user has it.
    """
    from flows.orchestration import configure_console, keep_private, make_work_folder, prepare_environment
    from infra.logs import configure_logging
    from infra.settings import load_settings

    settings = load_settings()
    prepare_environment(settings, verbose=args.verbose)
    if private:
        keep_private(settings)
    if flows:
        make_work_folder(settings)
        configure_console(settings, verbose=args.verbose)
    else:
        configure_logging(args.verbose, settings.secrets)
    return settings
