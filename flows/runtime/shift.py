"""The night shift as Prefect's server sees it: what is scheduled, what is late, what was run."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from infra.catalog.tables import now
from serving.errors import UnavailableError

RECENTLY = timedelta(hours=1)
"""As often as scoring is scheduled."""
OURS = DeploymentFilter(tags=DeploymentFilterTags(all_=["itrp"]))


def has_scored_lately() -> bool:
    """Is a run of score-tweets under way or asked for, or has one begun within the last hour?"""
    scoring = FlowFilter(name=FlowFilterName(any_=["score-tweets"]))
    began = FlowRunFilter(start_time=FlowRunFilterStartTime(after_=now() - RECENTLY))
    active = _in_states(StateType.RUNNING, StateType.PENDING)
    asked_for = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now()),
    )
    with get_client(sync_client=True) as client:
        return any(
            client.read_flow_runs(flow_filter=scoring, flow_run_filter=wanted, limit=1)
            for wanted in (began, active, asked_for)
        )


def describe_shift() -> str | None:
    """When the next run of a deployment is due; None without deployments.

    Raises UnavailableError when there are some and none is due.
    """
    with get_client(sync_client=True) as client:
        deployments = client.read_deployments(deployment_filter=OURS)
        if not deployments:
            return None
        due = _find_due(client)
        late = _count_late(client)
    if due is None:
        raise UnavailableError(f"no deployment has an upcoming run, so nothing runs by itself: {_explain(deployments)}")
    told = f"{len(deployments)} deployments, next run at {due:%Y-%m-%d %H:%M} UTC"
    return told + (
        f"; {late} runs are late: is a worker of their pool up? prefect worker start --pool NAME" if late else ""
    )


def _find_due(client: SyncPrefectClient) -> datetime | None:
    """The time of the next run, if there is one."""
    upcoming = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=now()),
    )
    soonest = FlowRunSort.EXPECTED_START_TIME_ASC
    runs = client.read_flow_runs(deployment_filter=OURS, flow_run_filter=upcoming, sort=soonest, limit=1)
    return runs[0].expected_start_time if runs else None


def _count_late(client: SyncPrefectClient) -> int:
    late = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"])))
    return len(client.read_flow_runs(deployment_filter=OURS, flow_run_filter=late, limit=200))


def _in_states(*types: StateType) -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))


def _explain(deployments: Sequence[DeploymentResponse]) -> str:
    if any(schedule.active for deployment in deployments for schedule in deployment.schedules):
        return (
            "schedules are on, but the server plans no runs; check the log of its scheduler (prefect server services)"
        )
    if any(deployment.schedules for deployment in deployments):
        return "every schedule is paused; resume them on the page Deployments"
    return "none has a schedule; itrp deploy --reset-schedules restores them"
