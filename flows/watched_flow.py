"""The form of our Prefect flows: a time limit, and hooks that leave nothing open and say what to do."""

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import prefect
from prefect import Flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed

from flows.orchestration import started_by_worker
from infra.errors import InfraError
from infra.settings import load_settings
from itrp.errors import ItrpError, NotReadyError

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

HOUR = 3600


def watched_flow(
    name: str, run_name: str | Callable[[], str], *, hours: float
) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Decorate a function as a flow that is given up after so many hours: each goes on at the next run where it stopped.

    Under a worker, what is not ready yet (NotReadyError: no model is trained) is no failure: the run ends in the state
    "Waiting", completed, with the reason, so that a fresh installation does not send a notification every hour.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
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


def explain_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Failure hook: the error and the next step as an artifact, so that the run's page shows it before all logs."""
    error = state.data
    if flow_run.deployment_id is None or not isinstance(error, BaseException):
        return
    told = " ".join(str(error).split())[:2000]
    step = (
        ""
        if isinstance(error, ItrpError | InfraError)
        else "\n\nThis is a fault of itrp: report it with the run's logs."
    )
    create_markdown_artifact(
        key="failure", markdown=f"**{type(error).__name__}**: {told}{step}", description=told[:200]
    )


def close_open_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Crash and cancellation hook: MLflow runs this flow run had open are ended as killed, not left running for ever.

    `itrp train --resume` finds and reopens them all the same.
    """
    from flows.tracking import end_open_runs

    ended = end_open_runs(load_settings(), str(flow_run.id))
    if ended:
        logger.info("ended %d MLflow runs of %s", ended, flow_run.name)
