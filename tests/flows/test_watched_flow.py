"""How our flows end: waiting, failed with the next step, crashed with nothing left open."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Failed

from flows.tracking import FLOW_RUN_TAG, find_experiment_id
from flows.watched_flow import close_open_runs, explain_failure, watched_flow
from infra.errors import StoreError
from itrp.errors import NotReadyError

if TYPE_CHECKING:
    from flows.platform import Platform

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


@pytest.mark.slow
def test_under_a_worker_what_is_not_ready_waits(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReadyError):
        unready(2)
    monkeypatch.setenv(RUN_VARIABLE, str(uuid4()))
    state: Any = unready(3, return_state=True)
    assert (state.name, state.is_completed(), state.message) == ("Waiting", True, "no champion yet, asked 3 times")


@pytest.mark.slow
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
    assert "This is a fault of itrp" in str(ours.data)


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
