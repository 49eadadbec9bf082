"""Deployments, automations and the bridge on a real Prefect server."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

from flows.deployment.automations import HEARTBEAT_SECONDS, NOTIFY_BLOCK, SILENCE_SECONDS, apply_automations
from flows.deployment.bridge import MAX_BODY_BYTES, make_app
from flows.deployment.deployments import POOLS, apply_deployments, plan_deployments
from tests.flows.deployment.test_registry_webhook import BODY, SECRET, sign


@pytest.fixture(scope="module")
def deployed(prefect_server: str) -> Iterator[dict[str, UUID]]:
    """Everything `itrp deploy` puts on the Prefect server."""
    yield apply_deployments()
    with get_client(sync_client=True) as client:
        for number in apply_deployments().values():
            client.delete_deployment(number)


def read(name: str) -> Any:
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(f"{name}/{name}")


def test_every_flow_has_its_deployment(deployed: dict[str, UUID]) -> None:
    assert set(deployed) == {
        "ingest-tweets", "score-tweets", "train-itrp", "evaluate-itrp", "promote-models", "itrp-pipeline",
        "follow-champions", "follow-labels", "watch-agreement",
    }  # fmt: skip
    for name in deployed:
        found = read(name)
        assert found.description
        assert "itrp" in found.tags
        assert found.work_pool_name in POOLS
        assert found.enforce_parameter_schema
    assert read("train-itrp").work_pool_name == "gpu"


def test_schedules_and_limits_are_those_of_the_plan(deployed: dict[str, UUID]) -> None:
    assert read("ingest-tweets").schedules[0].schedule.interval.total_seconds() == 15 * 60
    assert read("score-tweets").schedules[0].schedule.cron == "30 * * * *"
    assert {each.parameters["experiment"] for each in read("train-itrp").schedules} == {"paper-text", "paper-image"}
    scoring = read("score-tweets")
    assert scoring.global_concurrency_limit.limit == 1
    assert scoring.concurrency_options.collision_strategy == "ENQUEUE"


def test_parameters_make_a_form_with_choices_and_explanations(deployed: dict[str, UUID]) -> None:
    for name in deployed:
        for parameter, described in read(name).parameter_openapi_schema["properties"].items():
            assert described.get("description"), f"{name}: {parameter}"
    experiment = read("train-itrp").parameter_openapi_schema["properties"]["experiment"]
    assert {"paper-text", "small-image", "paper-cma-clip"} <= set(experiment["enum"])
    assert read("promote-models").parameter_openapi_schema["properties"]["task"]["enum"] == ["text", "image", "both"]


def test_a_wrong_parameter_is_refused_before_anything_runs(deployed: dict[str, UUID]) -> None:
    with get_client(sync_client=True) as client, pytest.raises(Exception, match="paper-texxt"):
        client.create_flow_run_from_deployment(
            deployed["train-itrp"], parameters={"experiment": "paper-texxt", "data": "landing"}
        )


def test_deploying_again_changes_nothing_and_keeps_what_people_have_changed(deployed: dict[str, UUID]) -> None:
    (schedule,) = read("ingest-tweets").schedules
    with get_client(sync_client=True) as client:
        client.update_deployment_schedule(deployed["ingest-tweets"], schedule.id, active=False)
    assert apply_deployments() == deployed
    (kept,) = read("ingest-tweets").schedules
    assert not kept.active
    assert apply_deployments(reset_schedules=True) == deployed
    (reset,) = read("ingest-tweets").schedules
    assert reset.active
    with get_client(sync_client=True) as client:
        names = [each.name for each in client.read_work_pools()]
        there = client.read_deployments(deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[*deployed])))
    assert sorted(set(names) & set(POOLS)) == sorted(POOLS)
    assert len(there) == len(plan_deployments())


def test_scoring_can_have_a_pool_of_its_own(deployed: dict[str, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its workers need no right to change a model; and it goes back to the others' as well."""
    monkeypatch.setenv("ITRP_SCORING_POOL", "scoring")
    assert apply_deployments() == deployed
    assert read("score-tweets").work_pool_name == "scoring"
    assert {read(name).work_pool_name for name in deployed if name != "score-tweets"} == set(POOLS)
    monkeypatch.delenv("ITRP_SCORING_POOL")
    assert apply_deployments() == deployed
    assert read("score-tweets").work_pool_name == "cpu"


def test_automations_are_replaced_not_repeated(deployed: dict[str, UUID]) -> None:
    first = apply_automations(deployed, None)
    assert len(first) == 6
    told = apply_automations(deployed, "json://127.0.0.1:9/x")
    with get_client(sync_client=True) as client:
        found = {each.name: each for each in client.read_automations() if each.name.startswith("itrp: ")}
        block = client.read_block_document_by_name(NOTIFY_BLOCK, "slack-webhook", include_secrets=False)
    assert sorted(found) == sorted(told)
    assert set(block.data["url"]) == {"*"}
    (zombie,) = [each for name, each in found.items() if "heartbeat" in name]
    assert zombie.trigger.within.total_seconds() == SILENCE_SECONDS == 5 * HEARTBEAT_SECONDS
    (backfill,) = [each for name, each in found.items() if "archive" in name]
    assert backfill.actions[0].deployment_id == deployed["score-tweets"]


def deliver(app: Any, body: str = BODY, **changed: str) -> Any:
    return TestClient(app).post("/mlflow", content=body, headers={**sign(body=body), **changed})


def test_the_bridge_starts_the_flow_once_a_delivery(deployed: dict[str, UUID]) -> None:
    def count() -> int:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs()
        return len(
            [run for run in runs if run.deployment_id == deployed["follow-champions"] and not run.auto_scheduled]
        )

    app, before = make_app(SECRET), count()
    for _ in range(2):
        answer = deliver(app)
        assert (answer.status_code, answer.json()) == (200, {"started": True})
    assert count() == before + 1


def test_the_bridge_refuses_what_is_not_mlflows() -> None:
    def start(name: str, key: str, parameters: dict[str, Any]) -> None:
        raise AssertionError(f"{name} was started")

    app = make_app(SECRET, start)
    assert TestClient(app).get("/health").status_code == 200
    assert deliver(app, **{"x-mlflow-signature": "v1,AAAA"}).status_code == 401
    assert TestClient(app).post("/mlflow", content=BODY).status_code == 401
    assert deliver(app, "no json").status_code == 400
    assert deliver(app, "x" * (MAX_BODY_BYTES + 1)).status_code == 413
    other = json.dumps({"data": {"alias": "challenger", "name": "itrp-text-task"}})
    assert deliver(app, other).json() == {"started": False}
    foreign = json.dumps({"data": {"alias": "champion", "name": "somebody-elses-model"}})
    assert deliver(app, foreign).json() == {"started": False}


def test_the_bridge_asks_for_another_delivery_when_prefect_is_away() -> None:
    def start(name: str, key: str, parameters: dict[str, Any]) -> None:
        raise ConnectionError("nobody there")

    assert deliver(make_app(SECRET, start)).status_code == 503


def test_deploying_without_a_server_says_what_is_missing(itrp: Any, tmp_path: Any, monkeypatch: Any) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        done = itrp(tmp_path, "deploy")
    assert done.status == 2
    assert "PREFECT_API_URL: expected the address of a Prefect server" in done.err
