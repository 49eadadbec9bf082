"""`prefect deployment run NAME`, typed at the installed Prefect, with a real server behind it."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect.cli.deployment as command
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.plugins import HookContext
from prefect.states import Completed, Failed, State
from prefect.utilities.callables import parameter_schema

from flows.deployment.prefect_plugin import setup_environment

ROOT = Path(__file__).parents[3]


def label(backfill: bool = False, shards: int = 1) -> None:
    """What the deployments here would run; no worker ever takes them."""


def on_server(work: Callable[[PrefectClient], Awaitable[Any]]) -> Any:
    async def call() -> Any:
        async with get_client() as client:
            return await work(client)

    return asyncio.run(call())


def deploy(flow_name: str, name: str) -> UUID:
    async def create(client: PrefectClient) -> UUID:
        flow_id = await client.create_flow(flow(name=flow_name)(label))
        return await client.create_deployment(
            flow_id, name, parameter_openapi_schema=parameter_schema(label).model_dump()
        )

    created: UUID = on_server(create)
    return created


def runs_of(deployment: UUID) -> list[FlowRun]:
    chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    runs: list[FlowRun] = on_server(lambda client: client.read_flow_runs(flow_run_filter=chosen))
    return runs


def finish_run(deployment: UUID, state: "State[Any]", seconds: float = 60) -> None:
    """Wait for the deployment's run and end it, as a worker would."""
    limit = time.monotonic() + seconds
    while not (runs := runs_of(deployment)):
        assert time.monotonic() < limit, "no run was created"
        time.sleep(0.2)
    on_server(lambda client: client.set_flow_run_state(runs[0].id, state, force=True))


@pytest.fixture
def environment(prefect_server: str, tmp_path: Path) -> dict[str, str]:
    """Of a person with no Prefect settings but the server's address."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**bare, "PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(tmp_path / "home"), "COLUMNS": "80"}


Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """`start(words, …)`: the installed program, in a folder without any project."""

    def call(*words: str, folder: Path = tmp_path, **settings: str) -> "subprocess.Popen[str]":
        program = str(Path(sys.executable).with_name("prefect"))
        return subprocess.Popen(
            [program, *words], env={**environment, **settings}, cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return call


@pytest.fixture
def run(start: Start) -> Run:
    """The same, to its end. The plugin is on unless said otherwise."""

    def call(*words: str, on: str = "true", **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        process = start(*words, **{"PREFECT_PLUGINS_ENABLED": on, **kwargs})
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    return call


@pytest.fixture(scope="module")
def twin(prefect_server: str) -> UUID:
    """A deployment that is called as its flow is."""
    return deploy("plugin-twin", "plugin-twin")


@pytest.fixture(scope="module")
def lonely(prefect_server: str) -> UUID:
    return deploy("plugin-flow", "plugin-lonely")


def test_a_bare_name_runs(twin: UUID, run: Run) -> None:
    before = len(runs_of(twin))
    done = run("deployment", "run", "plugin-twin")
    assert done.returncode == 0, done.stderr
    assert "Creating flow run for deployment 'plugin-twin/plugin-twin'..." in done.stdout
    assert len(runs_of(twin)) == before + 1


def test_a_bare_name_runs_where_the_flow_is_called_otherwise(lonely: UUID, run: Run) -> None:
    done = run("deployments", "run", "plugin-lonely")
    assert done.returncode == 0, done.stderr
    assert "Creating flow run for deployment 'plugin-flow/plugin-lonely'..." in done.stdout


def test_parameters_arrive(prefect_server: str, run: Run) -> None:
    deployment = deploy("plugin-parameters", "plugin-parameters")
    words = ("--param", "backfill=true", "--params", json.dumps({"shards": 3}), "--tag", "by-hand")
    done = run("deployment", "run", "plugin-parameters", *words)
    assert done.returncode == 0, done.stderr
    created = runs_of(deployment)[0]
    assert created.parameters == {"backfill": True, "shards": 3}
    assert created.tags == ["by-hand"]


def test_a_parameter_that_does_not_exist_is_told_by_prefect(twin: UUID, run: Run) -> None:
    done = run("deployment", "run", "plugin-twin", "-p", "backfil=true")
    assert done.returncode == 1
    assert "specified but not found on the deployment: 'backfil'" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("state", "status"), [(Completed(), 0), (Failed(), 1)], ids=["completed", "failed"])
def test_watch_ends_with_the_run(prefect_server: str, start: Start, state: "State[Any]", status: int) -> None:
    name = f"plugin-watched-{status}"
    deployment = deploy(name, name)
    process = start("deployment", "run", name, "--watch", PREFECT_PLUGINS_ENABLED="true")
    finish_run(deployment, state)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert f"in {'state ' if status else ''}{state.name!r}." in " ".join(out.split())
    assert len(runs_of(deployment)) == 1


def test_an_unknown_name_gets_the_nearest_ones(twin: UUID, lonely: UUID, run: Run) -> None:
    done = run("deployment", "run", "plugin-twins")
    assert done.returncode == 1
    assert done.stdout.startswith("No deployment is called 'plugin-twins'; there are: plugin-twin/plugin-twin, ")
    assert "plugin-flow/plugin-lonely" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_an_ambiguous_name_gets_its_candidates(prefect_server: str, run: Run) -> None:
    deployments = [deploy(each, "plugin-double") for each in ("plugin-[b]", "plugin-a", "plugin-double")]
    done = run("deployment", "run", "plugin-double")
    assert done.returncode == 1
    assert done.stdout == (
        "3 deployments are called 'plugin-double'; name one: "
        "plugin-[b]/plugin-double, plugin-a/plugin-double, plugin-double/plugin-double\n"
    )
    assert not any(runs_of(each) for each in deployments)


@pytest.mark.parametrize("on", ["true", "false"])
def test_whole_names_and_ids_are_prefects(lonely: UUID, run: Run, on: str) -> None:
    before = len(runs_of(lonely))
    by_name = run("deployment", "run", "plugin-flow/plugin-lonely", on=on)
    by_id = run("deployment", "run", "--id", str(lonely), on=on)
    assert (by_name.returncode, by_id.returncode) == (0, 0)
    assert len(runs_of(lonely)) == before + 2


@pytest.mark.parametrize(
    "words",
    [
        "deployment run",
        "deployment run --help",
        "deployment run plugin-flow/unknown",
        "deployment run plugin-lonely --id 00000000-0000-0000-0000-000000000000",
        "deployment inspect plugin-lonely",
        "deployment inspect plugin-flow/plugin-lonely",
        "deployment pause plugin-lonely",
        "deployment unknown",
        "flow-run ls --flow-name plugin-lonely",
        "version",
    ],
)
def test_everything_else_is_as_without_the_plugin(lonely: UUID, run: Run, words: str) -> None:
    with_it, without = run(*words.split(), on="true"), run(*words.split(), on="false")
    assert (with_it.returncode, with_it.stdout) == (without.returncode, without.stdout)
    assert with_it.stderr == without.stderr


def test_it_is_on_in_the_checkout_and_off_elsewhere(twin: UUID, start: Start) -> None:
    here, elsewhere = start("deployment", "run", "plugin-twin", folder=ROOT), start("deployment", "run", "plugin-twin")
    out, err = here.communicate(timeout=120)
    assert here.returncode == 0, out + err
    _, err = elsewhere.communicate(timeout=120)
    assert elsewhere.returncode == 1
    assert "Invalid deployment name format: plugin-twin" in err  # Prefect's own answer


def test_a_profile_turns_it_on_everywhere(twin: UUID, start: Start) -> None:
    turned = start("config", "set", "PREFECT_PLUGINS_ENABLED=true")
    out, err = turned.communicate(timeout=120)
    assert turned.returncode == 0, out + err
    process = start("deployment", "run", "plugin-twin")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err


@pytest.mark.parametrize("words", ["worker start --pool cpu", "server start", "deployment inspect a/b"])
def test_other_processes_load_nothing_more(environment: dict[str, str], tmp_path: Path, words: str) -> None:
    code = "import sys, prefect; print(*sorted(sys.modules))"
    listed = subprocess.run(
        [sys.executable, "-c", code, *words.split()], env={**environment, "PREFECT_PLUGINS_ENABLED": "true"},
        cwd=tmp_path, text=True, capture_output=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "flows.deployment.prefect_plugin" in listed
    ours = [name for name in listed if name.partition(".")[0] in {"flows", "infra", "itrp", "serving"}]
    assert ours == ["flows", "flows.deployment", "flows.deployment.prefect_plugin"]
    assert {"torch", "mlflow", "pandas", "prefect.cli.deployment"}.isdisjoint(listed)


async def _another_finder(client: PrefectClient, reference: str) -> None:
    """How a later Prefect might find deployments."""


def _no_coroutine(client: PrefectClient, name: str, deployment_id: str) -> None:
    """Another."""


@pytest.mark.parametrize("found", [_another_finder, _no_coroutine, None])
def test_it_steps_aside_where_prefect_is_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, found: object
) -> None:
    monkeypatch.setattr(sys, "argv", ["prefect", "deployment", "run", "score-tweets"])
    monkeypatch.setattr(command, "_get_deployment", found)
    with caplog.at_level(logging.DEBUG):
        setup_environment(ctx=HookContext("4.0.0", None, logging.getLogger("seen").getChild))
    assert command._get_deployment is found
    assert [(record.levelno, record.getMessage()) for record in caplog.records if "bare" in record.getMessage()] == [
        (logging.DEBUG, "no bare deployment names: this version of Prefect finds deployments in another way")
    ]
