"""How our flows end: waiting, failed with the next step, crashed with nothing left open."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.concurrency._leases import maintain_concurrency_lease
from prefect.states import Crashed, Failed

from flows.runtime.watched_flow import TOLD, close_open_runs, explain_failure, watched_flow
from flows.tracking.runs import FLOW_RUN_TAG, find_experiment_id
from infra.errors import StoreError
from serving.errors import NotReadyError

if TYPE_CHECKING:
    from flows.platform import Platform

CHECKOUT = Path(__file__).parents[3]
RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"


@watched_flow("unready", "unready", hours=1)
def unready(number: int = 1) -> int:
    """A flow that finds no model."""
    raise NotReadyError(f"no champion yet, asked {number} times")


def test_the_decorated_flow_keeps_name_parameters_and_description() -> None:
    assert (unready.name, unready.description, unready.timeout_seconds) == (
        "unready",
        "A flow that finds no model.",
        3600,
    )
    assert list(unready.parameters.properties) == ["number"]


def test_under_a_worker_what_is_not_ready_waits(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReadyError):
        unready(2)
    monkeypatch.setenv(RUN_VARIABLE, str(uuid4()))
    state: Any = unready(3, return_state=True)
    assert (state.name, state.is_completed(), state.message) == ("Waiting", True, "no champion yet, asked 3 times")


def test_a_failed_run_shows_the_error_and_the_next_step(prefect_server: str) -> None:
    run = FlowRun(flow_id=uuid4(), deployment_id=uuid4())
    error = StoreError("nothing answers at http://127.0.0.1:9: start the S3 server")
    explain_failure(unready, run, Failed(data=error))
    found = Artifact.get("failure")
    assert found is not None
    assert found.data == f"**StoreError**: {error}"
    explain_failure(unready, run, Failed(data=KeyError("shard")))
    ours = Artifact.get("failure")
    assert ours is not None
    assert str(ours.data).startswith("**KeyError**: 'shard'")
    assert "This is a bug of itrp" in str(ours.data)


def test_what_a_failed_run_shows_holds_no_secret_and_no_markup(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_SECRET_KEY", "key-of-the-store")
    run = FlowRun(flow_id=uuid4(), deployment_id=uuid4())
    error = StoreError(
        "postgresql://itrp:hunter2@db/itrp refused [a link](javascript:alert(1)) <img src=x> **key-of-the-store** a_b_c"
    )
    explain_failure(unready, run, Failed(data=error))
    found = Artifact.get("failure")
    assert found is not None
    shown = (
        r"postgresql://itrp:\*\*\*@db/itrp refused \[a link\]\(javascript:alert\(1\)\) \<img src=x\> "
        r"\*\*\*\*\*\*\* a\_b\_c"
    )
    assert found.data == f"**StoreError**: {shown}"
    assert found.description == shown


def test_a_secret_at_the_cut_is_blotted_out_whole(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_SECRET_KEY", "s" * 40)
    run = FlowRun(flow_id=uuid4(), deployment_id=uuid4())
    explain_failure(unready, run, Failed(data=StoreError("x" * (TOLD - 5) + "s" * 40)))
    found = Artifact.get("failure")
    assert found is not None
    assert "sssss" not in str(found.data)


@watched_flow("with-a-slot", "with-a-slot", hours=1)
def with_a_slot() -> None:
    """A flow that holds a lease as Prefect's engine does for a deployment with a limit."""
    with maintain_concurrency_lease(uuid4(), 300, raise_on_lease_renewal_failure=True):
        for _ in range(600):
            time.sleep(0.1)


@watched_flow("too-slow", "too-slow", hours=2 / 3600)
def too_slow() -> None:
    """A flow that is given up."""
    for _ in range(600):
        time.sleep(0.1)


RUN_APART = """
import json, sys
from tests.flows.runtime import test_watched_flow as flows
state = getattr(flows, sys.argv[1])(return_state=True)
print(json.dumps([state.type.value, state.name, state.message]))
"""


def run_apart(flow: str, server: str) -> list[str]:
    """Type, name and message of the state in which a flow of this file ends, run in a process of its own.

    Prefect throws into the main thread by SIGALRM and by an exception of another thread. One that comes when the flow has
    just ended would hit pytest: the signal once ended a whole process of it.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUN_APART, flow],
        env={**os.environ, "PREFECT_API_URL": server},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_run_whose_lease_is_gone_says_so(prefect_server: str) -> None:
    """The server answers that there is no such lease, as one that keeps them in its memory does after a restart."""
    kind, name, message = run_apart("with_a_slot", prefect_server)
    assert (kind, name) == (StateType.FAILED.value, "Failed")
    assert "expected to be the only run of with-a-slot" in message
    assert "timeout" not in message


def test_a_run_whose_time_is_up_says_that(prefect_server: str) -> None:
    assert run_apart("too_slow", prefect_server)[1:] == ["TimedOut", "Flow run exceeded timeout of 2.0 second(s)"]


def test_a_crash_leaves_no_run_of_mlflow_running(
    platform: "Platform", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ITRP_WORK_DIR", str(platform.settings.work_dir))
    run, client = FlowRun(flow_id=uuid4()), platform.registry.client
    experiment = find_experiment_id(platform.settings)
    numbers = [
        client.create_run(experiment, tags={FLOW_RUN_TAG: owner}).info.run_id for owner in (str(run.id), "another")
    ]
    close_open_runs(unready, run, Crashed())
    assert [client.get_run(number).info.status for number in numbers] == ["KILLED", "RUNNING"]
