"""The deployments: which flow runs where, when, with what, and how many at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import EntrypointType
from prefect.schedules import Cron, Interval, Schedule
from prefect.workers.process import ProcessWorker

from flows.agreement import watch_agreement
from flows.evaluate import evaluate_itrp
from flows.follow_champions import follow_champions
from flows.follow_labels import follow_labels
from flows.ingest import ingest_tweets
from flows.pipeline import itrp_pipeline
from flows.promote import promote_models
from flows.score import score_tweets
from flows.train import train_itrp
from infra.settings import load_settings

POOLS = {
    "cpu": "Ingestion, scoring, evaluation: workers on any machine.",
    "gpu": "Training: one run at a time for each worker (prefect worker start --pool gpu --limit 1).",
}
"""Work pools and what they are for."""

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""A run that finds another one waits for it. Cancelled instead, a backfill that a new champion has asked for would be lost
whenever an hourly run happens to be under way; and what waits behind a long backfill finds little to do."""


@dataclass(frozen=True)
class Plan:
    """A deployment of a flow, under the flow's own name."""

    flow: Flow[Any, Any]
    pool: str
    tags: Sequence[str]
    schedules: Sequence[Schedule] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: ConcurrencyLimitConfig | None = None


def plan_deployments() -> list[Plan]:
    """All of them. Times are UTC."""
    scoring_pool = load_settings().scoring_pool
    weekly = [
        Cron("0 1 * * 6", slug="weekly-text", parameters={"experiment": "paper-text", "data": "landing"}),
        Cron("0 13 * * 6", slug="weekly-image", parameters={"experiment": "paper-image", "data": "landing"}),
    ]
    return [
        Plan(ingest_tweets, "cpu", ["data"], [Interval(timedelta(minutes=15), slug="every-15-minutes")], limit=ONE_AT_A_TIME),
        Plan(score_tweets, scoring_pool, ["labels"], [Cron("30 * * * *", slug="hourly")], limit=ONE_AT_A_TIME),
        Plan(train_itrp, "gpu", ["training"], weekly, {"resume": True}, limit=ONE_AT_A_TIME),
        Plan(evaluate_itrp, "cpu", ["training"]),
        Plan(promote_models, "cpu", ["champions"], limit=ONE_AT_A_TIME),
        Plan(
            follow_champions, "cpu", ["champions"], [Interval(timedelta(minutes=10), slug="every-10-minutes")],
            limit=ONE_AT_A_TIME,
        ),
        Plan(
            follow_labels, "cpu", ["labels"], [Interval(timedelta(minutes=10), slug="every-10-minutes")],
            limit=ONE_AT_A_TIME,
        ),
        Plan(watch_agreement, "cpu", ["champions"], [Cron("0 5 * * *", slug="daily")], limit=ONE_AT_A_TIME),
        Plan(itrp_pipeline, "gpu", ["training", "champions", "labels"], limit=ONE_AT_A_TIME),
    ]  # fmt: skip


def apply_deployments(*, reset_schedules: bool = False) -> dict[str, UUID]:
    """Put pools and deployments on the Prefect server. Returns the deployments' ids by name. May be done again at any time.

    Pools that are there stay as they are (of whatever type), and so do schedules, which people pause and move in the
    page, unless `reset_schedules`.
    """
    _create_pools()
    return dict(_apply(plan, reset_schedules) for plan in plan_deployments())


def group_by_pool(deployments: Mapping[str, UUID]) -> dict[str, list[UUID]]:
    """The ids of deployments by the pool that runs them."""
    return {pool: [deployments[plan.flow.name] for plan in plan_deployments() if plan.pool == pool] for pool in POOLS}


def _create_pools() -> None:
    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        there = {pool.name for pool in client.read_work_pools()}
        for name, what in _list_pools().items():
            if name not in there:
                pool = WorkPoolCreate(name=name, type="process", description=what, base_job_template=template)
                client.create_work_pool(pool)


def _list_pools() -> dict[str, str]:
    """POOLS, and that of score-tweets where it has one of its own."""
    return {load_settings().scoring_pool: "Scoring: its workers need no right to change models.", **POOLS}


def _apply(plan: Plan, reset_schedules: bool) -> tuple[str, UUID]:
    name = plan.flow.name
    schedules = list(plan.schedules) if reset_schedules or not _exists(name) else None
    described = cast(
        RunnerDeployment,
        plan.flow.to_deployment(
            name=name,
            description=(plan.flow.fn.__doc__ or "").partition("\n\n")[0].strip(),
            tags=["itrp", *plan.tags],
            schedules=schedules,
            parameters=dict(plan.parameters),
            concurrency_limit=plan.limit,
            work_pool_name=plan.pool,
            # the package is installed where workers run: nothing is fetched, and the folder a worker stands in does not matter
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    )
    return name, cast(UUID, described.apply())


def _exists(name: str) -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(f"{name}/{name}")
        except ObjectNotFound:
            return False
        return True


def describe_plans() -> Iterator[str]:
    """One line a deployment, for a person."""
    for plan in plan_deployments():
        when = ", ".join(schedule.slug for schedule in plan.schedules if schedule.slug) or "by hand or by event"
        yield f"{plan.flow.name:18s} {plan.pool:7s} {when}"
