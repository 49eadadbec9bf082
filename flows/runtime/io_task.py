"""The form of our Prefect tasks: nothing cached or stored by Prefect, and under a worker tried again after an outage."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from flows.runtime.orchestration import started_by_worker
from serving.outages import is_outage

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 5
FIRST_WAIT_SECONDS = 4
"""Doubled each time: 4, 8, 16, 32 and 64 s outlive a server's restart."""
JITTER = 0.5
"""Each wait is up to half as long again, so that workers do not come back all at once."""


def io_task(name: str, run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Decorate a function that reads or writes the object store, the catalog or the registry.

    Whatever it returns stays in the process (principle: tasks carry no data). Only outages are tried again: a rejection,
    bad input or a fault of ours would fail the same way. At the command line nothing is: a person waits for the answer.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        return task(
            name=name,
            task_run_name=run_name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(backoff_factor=FIRST_WAIT_SECONDS),
            retry_jitter_factor=JITTER,
            retry_condition_fn=_should_retry,
        )(function)

    return decorate


def _should_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.data
    return started_by_worker() and isinstance(error, BaseException) and is_outage(error)
