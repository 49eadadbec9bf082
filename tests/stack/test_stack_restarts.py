"""Runs survive their servers, and nothing survives its stack."""

import os
import signal
import time
from typing import Any

from infra.stack.service import find_engines
from tests.stack.conftest import Desk, ask, wait_until
from tests.stack.test_stack import assert_labelled_once, land_shards, start_and_wait_for_a_label

AWAY_SECONDS = 40


def states_of(desk: Desk, run: str) -> list[dict[str, Any]]:
    url, user = desk.stack.environment["PREFECT_API_URL"], desk.stack.environment["PREFECT_API_AUTH_STRING"]
    found: list[dict[str, Any]] = ask(f"{url}/flow_run_states/?flow_run_id={run}", user)
    return found


def slots_in_use(desk: Desk, deployment: str) -> int:
    found = desk.prefect(f"deployments/name/{deployment}/{deployment}")
    return int(found["global_concurrency_limit"]["active_slots"])


def test_prefects_server_killed_in_mid_scoring_costs_the_run_nothing(labelling: Desk) -> None:
    desk = labelling
    ids = land_shards(desk, "server-away", 500, shards=12)
    run = start_and_wait_for_a_label(desk)
    server, killed = desk.stack.services["prefect"], time.monotonic()
    server.kill()
    time.sleep(AWAY_SECONDS)
    server.start()
    print(
        f"answered again {time.monotonic() - killed:.0f} s after the kill, in state {desk.flow_run(run)['state_name']}"
    )
    assert desk.flow_run(run)["state_type"] == "RUNNING"
    assert slots_in_use(desk, "score-tweets") == 1
    (lease,) = {state["state_details"].get("deployment_concurrency_lease_id") for state in states_of(desk, run)} - {
        None
    }
    desk.prefect(f"v2/concurrency_limits/leases/{lease}/renew", {"lease_duration": 300})  # the server knows of it

    desk.wait_for(run, "COMPLETED", 600)
    assert "Crashed" not in {state["name"] for state in states_of(desk, run)}
    assert_labelled_once(desk, ids)
    wait_until(lambda: slots_in_use(desk, "score-tweets") == 0, 60, "the slot given back")
    assert desk.run("score-tweets")["name"].endswith("0 shards")


def test_a_run_whose_worker_was_killed_does_not_outlive_the_stack(labelling: Desk) -> None:
    desk = labelling
    ids = land_shards(desk, "orphan", 600, shards=6)
    run = start_and_wait_for_a_label(desk)
    worker = desk.stack.services["worker-cpu"].process
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)  # it alone: the process of the run goes on without a parent
    worker.wait()
    orphans = find_engines(desk.stack.folder)
    assert orphans
    assert desk.flow_run(run)["state_type"] == "RUNNING"
    desk.stack.stop()
    assert not any(process.is_running() for process in orphans)
    assert find_engines(desk.stack.folder) == []

    desk.stack.start()
    wait_until(lambda: desk.flow_run(run)["state_type"] == "CRASHED", 300, "the page's word for the run that was ended")
    desk.run("score-tweets")
    assert_labelled_once(desk, ids)
