"""The form of our Prefect flows: a time limit, and hooks that leave nothing open and say what to do."""

import asyncio
import functools
import logging
import re
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

import prefect
from prefect import Flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Completed

from flows.runtime.orchestration import current_flow_run_id, started_by_worker
from infra.errors import InfraError
from infra.interruption import closed_when_interrupted
from infra.logs import Redactor
from infra.settings import load_settings
from itrp.errors import ItrpError
from serving.errors import NotReadyError

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

HOUR = 3600
TOLD = 2000
"""So many characters of an error are shown on the run's page."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$-])")


class SlotLostError(InfraError):
    """Prefect's server no longer knows that the run holds its deployment's slot, and another run may begin beside it."""


def watched_flow(
    name: str, run_name: str | Callable[[], str], *, hours: float
) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Decorate a function as a flow that is given up after so many hours: each goes on at the next run where it stopped.

    Under a worker, what is not ready yet (NotReadyError: no model is trained) is no failure: the run ends in the state
    "Waiting", completed, with the reason, so that a fresh installation does not send a notification every hour.

    Prefect ends a run whose lease of the deployment's slot cannot be renewed in the way it ends one whose time is up, and
    says so of both. Ended before its time, the run fails with SlotLostError.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            begun = time.monotonic()
            try:
                with closed_when_interrupted(functools.partial(cancel_run, current_flow_run_id())):
                    return function(*args, **kwargs)
            except asyncio.CancelledError as error:  # thrown into this thread by Prefect
                if time.monotonic() - begun > hours * HOUR - 5:
                    raise
                raise _explain_lost_slot(name) from error
            except NotReadyError as error:
                if not started_by_worker():
                    raise
                return cast(R, Completed(name="Waiting", message=str(error)))  # Prefect takes a state for the run's own

        return prefect.flow(
            name=name,
            flow_run_name=run_name,
            persist_result=False,
            timeout_seconds=hours * HOUR,
            on_failure=[explain_failure],
            on_crashed=[close_open_runs],
            on_cancellation=[close_open_runs],
        )(run)

    return decorate


def cancel_run(flow_run_id: str | None) -> None:
    """Tell a Prefect server that the run was stopped at the command line; the in-process server ends with it."""
    if flow_run_id is None or not get_current_settings().api.url:
        return
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(flow_run_id), Cancelled(message="stopped at the command line"), force=True)


def explain_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Failure hook: the error and the next step as an artifact, so that the run's page shows it before all logs."""
    error = state.data
    if flow_run.deployment_id is None or not isinstance(error, BaseException):
        return
    told = _describe_error(error)
    step = (
        "" if isinstance(error, ItrpError | InfraError) else "\n\nThis is a bug of itrp: report it with the run's logs."
    )
    create_markdown_artifact(
        key="failure",
        markdown=f"**{escape_markdown(type(error).__name__)}**: {escape_markdown(told)}{step}",
        description=escape_markdown(told[:200]),
    )


def escape_markdown(text: str) -> str:
    """The text as it stands, where markdown or HTML would make something else of it."""
    return _MARKDOWN.sub(r"\\\1", text)


def _describe_error(error: BaseException) -> str:
    """The error on one line, not too long; secrets are blotted out before it is cut, so that no half of one is left."""
    text = " ".join(str(error).split())
    try:
        secrets = load_settings().secrets
    except InfraError:  # wrong settings may be the very error that is told
        secrets = ()
    return Redactor(secrets)(text)[:TOLD]


def _explain_lost_slot(name: str) -> SlotLostError:
    return SlotLostError(
        f"expected to be the only run of {name}, found that Prefect's server no longer knows of it: its lease of the slot is "
        "gone, as after a restart of a server that keeps leases in its memory (PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE), or "
        "the server could not be reached for minutes. This run ended before another began beside it; its time was not up. "
        "What it has done stays; the next run continues where it stopped"
    )


def close_open_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Crash and cancellation hook: MLflow runs this flow run had open are ended as killed, not left running for ever.

    `itrp train --resume` finds and reopens them all the same.
    """
    from flows.tracking.runs import end_open_runs

    ended = end_open_runs(load_settings(), str(flow_run.id))
    if ended:
        logger.info("ended %d MLflow runs of %s", ended, flow_run.name)
