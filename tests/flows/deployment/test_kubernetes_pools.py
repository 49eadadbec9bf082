"""The Kubernetes work pools on a real Prefect server: it takes their templates, and holds runs to them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import PrefectHTTPStatusError

from flows.deployment.deployments import POOLS

FOLDER = Path(__file__).parents[3] / "infra/kubernetes"


def read_template(pool: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((FOLDER / f"work-pool-{pool}.json").read_text())
    return template


async def create_deployment(client: PrefectClient, pool: str) -> Any:
    """A pool from our template, under a name of its own beside the process pools, and a deployment on it."""
    name = f"kubernetes-{pool}"
    created = WorkPoolCreate(name=name, type="kubernetes", base_job_template=read_template(pool))
    await client.create_work_pool(created, overwrite=True)
    flow_id = await client.create_flow(flow(name=name)(lambda: None))
    return await client.create_deployment(flow_id, name, work_pool_name=name)


@pytest.fixture(scope="module", autouse=True)
def _leave_no_pools(prefect_server: str) -> Iterator[None]:
    yield

    async def delete() -> None:
        async with get_client() as client:
            for pool in await client.read_work_pools():
                if pool.name.startswith("kubernetes-"):
                    await client.delete_work_pool(pool.name)

    asyncio.run(delete())


def run_with(pool: str, **job_variables: Any) -> dict[str, Any]:
    """The job variables of a run that asks for these."""

    async def create() -> dict[str, Any]:
        async with get_client() as client:
            deployment = await create_deployment(client, pool)
            run = await client.create_flow_run_from_deployment(deployment, job_variables=job_variables)
            return dict(run.job_variables or {})

    return asyncio.run(create())


def test_there_is_a_template_for_every_pool() -> None:
    assert {file.stem for file in FOLDER.glob("work-pool-*.json")} == {f"work-pool-{pool}" for pool in POOLS}


@pytest.mark.parametrize("pool", [*POOLS])
def test_the_server_takes_the_template(prefect_server: str, pool: str) -> None:
    async def create() -> Any:
        async with get_client() as client:
            await create_deployment(client, pool)
            return await client.read_work_pool(f"kubernetes-{pool}")

    stored = asyncio.run(create())
    assert stored.type == "kubernetes"
    assert stored.base_job_template == read_template(pool)


def test_one_run_can_ask_for_more(prefect_server: str) -> None:
    asked = {"gpus": 2, "memory_limit": "64Gi", "node_selector": {"pool": "a100"}}
    assert run_with("gpu", **asked) == asked


@pytest.mark.parametrize("wrong", [{"gpus": "two"}, {"gpus": 0}, {"memory_limit": 64}, {"tolerations": "all"}])
def test_what_is_no_size_is_refused(prefect_server: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(PrefectHTTPStatusError) as caught:
        run_with("gpu", **wrong)
    assert caught.value.response.status_code == 422
    assert "Validation failed" in caught.value.response.text
