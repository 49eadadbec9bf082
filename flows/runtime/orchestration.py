"""Prefect and MLflow in process: defaults that must be set before either is imported, and what a flow knows of its run."""

import logging
import os

from infra.logs import ROOMS, RedactingFilter, configure_logging
from infra.settings import Settings


def prepare_environment(settings: Settings, *, verbose: bool = False) -> None:
    """Fill in what the user has not set. With PREFECT_API_URL set, or a profile that names a server, that server is used.

    Only the in-process server's own settings are touched: where its database lies, how long it may take to start (the
    default of 20 s is too short on two busy cores), and that it does not report home.
    """
    defaults = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{settings.work_dir}/prefect.db",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(ROOMS),
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # a minute outlives a server's restart; MLflow's own seven retries say nothing for four
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_VERBOSITY": "error",  # ten lines of retries before the one that says what is missing
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "Agg",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def configure_console(settings: Settings, *, verbose: bool = False) -> None:
    """One plain console for our lines and Prefect's. Imports Prefect, which would otherwise replace the handlers later."""
    import prefect  # noqa: F401

    logging.getLogger().handlers.clear()
    configure_logging(verbose, settings.secrets)
    for room in ROOMS:
        # Prefect sends these to its server, and cuts them off the console
        logging.getLogger(room).propagate = True
    if not verbose:
        for handler in logging.getLogger().handlers:
            handler.addFilter(_drop_told_errors)


def configure_worker_logging(settings: Settings) -> None:
    """Our lines on the run's page and in the worker's log, and no secret in them nor in Prefect's own."""
    names = [*ROOMS, "prefect", "prefect.flow_runs", "prefect.task_runs", ""]
    redact = RedactingFilter(settings.secrets)
    for name in names:
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(redact)
    for room in ROOMS:
        logging.getLogger(room).setLevel(logging.INFO)


def _drop_told_errors(record: logging.LogRecord) -> bool:
    """False for Prefect's own account of an error the command line tells in one line (its server keeps the traceback)."""
    if not record.name.startswith("prefect."):
        return True
    return record.exc_info is None and "Finished in state" not in str(record.msg)


def current_flow_run_id() -> str | None:
    """The id of the Prefect flow run this code is in, None outside of one."""
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None


def started_by_worker() -> bool:
    """Is this process a run that a Prefect worker has started, with nobody waiting at a command line?"""
    return "PREFECT__FLOW_RUN_ID" in os.environ
