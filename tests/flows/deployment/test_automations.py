"""What sets an automation off and what does not, on a real Prefect server that is told of events."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client

from flows.deployment import automations
from flows.deployment.automations import FORMER_NAMES, apply_automations, plan_automations, plan_notifications
from flows.deployment.deployments import POOLS, group_by_pool, plan_deployments
from flows.jobs.reviewed import ReviewedReport
from flows.jobs.reviewed.label_watch import NewHundred
from flows.runtime.events import emit_hundred

WINDOW_SECONDS = 10
"""The shortest that Prefect allows."""
LOOKED_SECONDS = 3 * WINDOW_SECONDS
"""By then it has looked at a window that has ended: it does so every ten seconds."""
LATE = {pool: f"itrp: late runs of the pool {pool}, and nobody takes them" for pool in POOLS}
FAILED = "itrp: a run failed or crashed"
NO_WORKER = "itrp: a pool has lost its last worker"
Event = dict[str, Any]


@pytest.fixture
def deployments(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, UUID]]:
    """The ids that deployments would have, and automations that wait for seconds."""
    monkeypatch.setattr(automations, "UNSERVED_SECONDS", WINDOW_SECONDS)
    numbers = {plan.flow.name: uuid4() for plan in plan_deployments()}
    block = automations._save_notifier("json://127.0.0.1:9/x")
    with get_client(sync_client=True) as client:
        for each in plan_notifications(block, group_by_pool(numbers)):
            client.create_automation(each)
        yield numbers
        for made in client.read_automations():
            if made.name.startswith("itrp: "):
                client.delete_automation(made.id)


def tell(server: str, *events: Event) -> None:
    now = datetime.now(UTC).isoformat()
    body = [{"id": str(uuid4()), "occurred": now, "payload": {}, "related": [], **event} for event in events]
    httpx.post(f"{server}/events", json=body).raise_for_status()


def of_run(what: str, deployment: UUID, run: UUID | None = None) -> Event:
    """An event of a flow run, with what Prefect says is related to it."""
    return {
        "event": f"prefect.flow-run.{what}",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run or uuid4()}", "prefect.resource.name": "a-run"},
        "related": [
            {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.role": "flow"},
            {"prefect.resource.id": f"prefect.deployment.{deployment}", "prefect.resource.role": "deployment"},
            {"prefect.resource.id": "prefect.tag.itrp", "prefect.resource.role": "tag"},
        ],
    }  # fmt: skip


def of_pool(what: str, name: str, number: UUID) -> Event:
    resource = {"prefect.resource.id": f"prefect.work-pool.{number}", "prefect.resource.name": name}
    return {"event": f"prefect.work-pool.{what}", "resource": resource}


def count_fired(server: str, name: str) -> int:
    wanted = {
        "event": {"name": ["prefect.automation.triggered"]},
        "resource": {"labels": {"prefect.resource.name": [name]}},
    }
    found = httpx.post(f"{server}/events/filter", json={"filter": wanted}).raise_for_status().json()
    return int(found["total"])


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.5)
    return False


@pytest.fixture
def known(prefect_server: str, deployments: dict[str, UUID]) -> dict[str, UUID]:
    """The deployments, once the automations are known to what evaluates them, a moment after they are made."""
    before = count_fired(prefect_server, FAILED)

    def send_and_look() -> bool:
        tell(prefect_server, of_run("Failed", deployments["score-tweets"]))
        return count_fired(prefect_server, FAILED) > before

    assert wait_until(send_and_look)
    return deployments


def test_late_runs_that_nobody_takes_and_a_pool_without_a_worker_are_told(
    prefect_server: str, known: dict[str, UUID]
) -> None:
    before = {name: count_fired(prefect_server, name) for name in (LATE["cpu"], LATE["gpu"], NO_WORKER)}
    tell(prefect_server, of_run("Late", known["score-tweets"]), of_run("Late", known["ingest-tweets"]))
    tell(prefect_server, of_run("heartbeat", known["train-itrp"]))  # of another pool
    tell(prefect_server, of_pool("not-ready", "gpu", uuid4()))
    for name, more in ((LATE["cpu"], 1), (NO_WORKER, 1)):
        assert wait_until(lambda name=name, more=more: count_fired(prefect_server, name) == before[name] + more), name
    assert count_fired(prefect_server, LATE["gpu"]) == before[LATE["gpu"]]


def test_a_queue_and_a_restart_are_no_alarm(prefect_server: str, known: dict[str, UUID]) -> None:
    names = (*LATE.values(), NO_WORKER)
    before = [count_fired(prefect_server, name) for name in names]
    restarted = uuid4()
    tell(prefect_server, of_run("Late", known["score-tweets"]), of_run("Late", known["train-itrp"]))
    tell(prefect_server, of_pool("not-ready", "cpu", restarted), of_pool("not-ready", "somebody-elses", uuid4()))
    tell(prefect_server, of_run("heartbeat", known["ingest-tweets"]))  # another run of the pool is under way
    tell(prefect_server, of_run("AwaitingConcurrencySlot", known["train-itrp"]))  # a worker has told it to wait
    tell(prefect_server, of_pool("ready", "cpu", restarted))
    time.sleep(LOOKED_SECONDS)
    assert [count_fired(prefect_server, name) for name in names] == before


def test_new_labels_measure_champions_and_train_a_head(prefect_server: str, deployments: dict[str, UUID]) -> None:
    """An event of follow-labels sets off what its labels say, and no more."""
    planned = {each.name: each for each in plan_automations(deployments) if "hundred new labels" in each.name}
    parameters = {name: each.actions[0].parameters for name, each in planned.items()}
    text, image, head = planned
    assert parameters[text] == {"models": ["itrp-text-task@champion"], "data": "reviewed"}
    assert parameters[image] == {"models": ["itrp-image-task@champion"], "data": "reviewed"}
    assert parameters[head] == {"experiment": "labelled-head", "data": "reviewed"}
    with get_client(sync_client=True) as client:
        for each in planned.values():
            client.create_automation(each)
    reviewed = ReviewedReport(100, 100, {"text": 50, "image": 10}, {"text": 50, "image": 0})

    def emit_and_look() -> bool:
        emit_hundred(NewHundred(100, reviewed, {"text": True, "image": False}))
        return bool(count_fired(prefect_server, text)) and bool(count_fired(prefect_server, head))

    assert wait_until(emit_and_look)
    assert count_fired(prefect_server, image) == 0


def test_every_deployment_is_in_one_pool() -> None:
    numbers = {plan.flow.name: uuid4() for plan in plan_deployments()}
    pools = group_by_pool(numbers)
    assert [*pools] == [*POOLS]
    assert sorted(number for each in pools.values() for number in each) == sorted(numbers.values())


def test_an_automation_of_an_earlier_version_is_replaced_and_stays_switched_off(
    prefect_server: str, deployments: dict[str, UUID]
) -> None:
    ((now, before),) = FORMER_NAMES.items()
    with get_client(sync_client=True) as client:
        (made,) = [each for each in client.read_automations() if each.name == now]
        planned = {each.name: each for each in plan_notifications(uuid4(), group_by_pool(deployments))}
        client.update_automation(made.id, planned[now].model_copy(update={"name": before, "enabled": False}))
        told = apply_automations(deployments, "json://127.0.0.1:9/x")
        found = {each.name: each for each in client.read_automations()}
        assert before not in found
        assert (found[now].id, found[now].enabled) == (made.id, False)
        assert set(told) <= found.keys()
