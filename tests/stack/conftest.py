"""The whole stack on loopback, and what a person does with it: commands, tweets landed, pages asked."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from infra.catalog.database import Catalog, open_catalog
from infra.catalog.queries import last_champion
from infra.errors import StackError
from infra.object_store import ObjectStore, open_store
from infra.stack.service import find_program
from infra.stack.stack import Stack
from tests.ports import choose_ports

QUICKLY = ["subset_size=30", "image.size=64", "batch_size=16"]
"""Settings of a training that takes seconds."""


@dataclasses.dataclass(frozen=True)
class Desk:
    """A person at the stack."""

    stack: Stack
    store: ObjectStore
    catalog: Catalog
    drawn: Path
    notified: list[str]
    """What the automations have sent to the address they notify, as JSON."""
    planned: dict[str, list[str]]
    """Before the schedules were paused: the deployments that have one, and the runs the scheduler had made of each."""

    def command(self, *words: str) -> str:
        """What a command prints, in the project's environment, from a folder that is not the checkout."""
        done = subprocess.run(
            [*words], env=self.stack.environment, cwd=self.stack.folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, deployment: str, **parameters: Any) -> str:
        """Start a deployment as the page does; returns the id of the run."""
        number = self.prefect(f"deployments/name/{deployment}/{deployment}")["id"]
        return str(self.prefect(f"deployments/{number}/create_flow_run", {"parameters": parameters})["id"])

    def start_as_typed(self, deployment: str, **parameters: Any) -> str:
        """The same by Prefect's command, which takes seconds more."""
        given = [word for name, value in parameters.items() for word in ("--param", f"{name}={json.dumps(value)}")]
        told = self.command("prefect", "deployment", "run", deployment, *given)
        found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", told)
        assert found, told
        return found.group()

    def run(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """Start a deployment and wait until it is completed."""
        return self.wait_for(self.start(deployment, **parameters), "COMPLETED")

    def flow_run(self, number: str) -> dict[str, Any]:
        found: dict[str, Any] = self.prefect(f"flow_runs/{number}")
        return found

    def wait_for(self, number: str, state: str, seconds: float = 300) -> dict[str, Any]:
        """Wait until a run has ended, and expect this state of it."""
        ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        wait_until(lambda: self.flow_run(number)["state_type"] in ended, seconds, f"the end of run {number}")
        found = self.flow_run(number)
        assert found["state_type"] == state, (found["name"], found["state"], self._logs_of(number))
        return found

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        """All runs of a flow, oldest first, whoever made them; while a schedule is on, those planned are among them."""
        wanted = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.prefect("flow_runs/filter", wanted)
        return found

    @contextmanager
    def schedule(self, deployment: str, seconds: float) -> Iterator[None]:
        """A schedule with a short interval, as a person adds it in the page, and takes it away again."""
        number = self.prefect(f"deployments/name/{deployment}/{deployment}")["id"]
        path = f"{self.stack.environment['PREFECT_API_URL']}/deployments/{number}/schedules"
        user = self.stack.environment["PREFECT_API_AUTH_STRING"]
        (made,) = ask(path, user, [{"schedule": {"interval": seconds}, "active": True}])
        try:
            yield
        finally:
            ask(f"{path}/{made['id']}", user, method="DELETE")

    def prefect(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask Prefect's API."""
        user = self.stack.environment["PREFECT_API_AUTH_STRING"]
        return ask(f"{self.stack.environment['PREFECT_API_URL']}/{path}", user, body)

    def mlflow(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask MLflow's REST API."""
        environment = self.stack.environment
        user = f"{environment['MLFLOW_TRACKING_USERNAME']}:{environment['MLFLOW_TRACKING_PASSWORD']}"
        return ask(f"{environment['ITRP_MLFLOW_URI']}/api/2.0/mlflow/{path}", user, body)

    def move_champion(self, task: str, version: int) -> None:
        """What the button in MLflow's page does."""
        body = {"name": f"itrp-{task}-task", "alias": "champion", "version": str(version)}
        self.mlflow("registered-models/alias", body)

    def champion(self, task: str) -> int | None:
        """The version the alias names."""
        try:
            found = self.mlflow(f"registered-models/alias?name=itrp-{task}-task&alias=champion")
        except HTTPError:
            return None
        return int(found["model_version"]["version"])

    def busy(self) -> bool:
        """Is anything under way that follows, promotes or labels?"""
        ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        flows = ("follow-champions", "score-tweets", "promote-models")
        return any(run["state_type"] not in ended for flow in flows for run in self.runs_of(flow))

    def idle(self) -> bool:
        """Is the champion of both tasks the one the catalog knows of, and nothing under way that follows or labels?"""
        with self.catalog.session() as session:
            known = [last_champion(session, task) for task in ("text", "image")]
        noticed = [move and int(move.version) for move in known]
        return noticed == [self.champion("text"), self.champion("image")] and not self.busy()

    def land(self, name: str, pairs: int, seed: int) -> list[str]:
        """Drop tweets as a collector does: pictures first, the batch file last. Returns their ids."""
        from itrp.datasets.synthetic import write_landing_layout

        folder = self.drawn / name
        write_landing_layout(folder, pairs, seed, batch_size=pairs)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "truth.csv"]
        for path in sorted(files, key=lambda path: path.suffix == ".jsonl"):
            self.store.put(f"landing/{name}/{path.relative_to(folder).as_posix()}", path)
        batches = [path for path in files if path.suffix == ".jsonl"]
        return [json.loads(line)["id"] for path in batches for line in path.read_text().splitlines()]

    def labels(self, text: int, image: int) -> Counter[str]:
        """How often each tweet is labelled by a pair of versions, read from the bucket."""
        from serving.labels import decode_labels

        found: Counter[str] = Counter()
        for info in self.store.list(f"labels/text-{text}_image-{image}/"):
            found.update(decode_labels(self.store.get(info.key)).column("id").to_pylist())
        return found

    def _logs_of(self, number: str) -> list[str]:
        found = self.prefect("logs/filter", {"logs": {"flow_run_id": {"any_": [number]}}, "limit": 200})
        return [log["message"][:500] for log in found]


def ask(url: str, user: str, body: Mapping[str, Any] | None = None, method: str | None = None) -> Any:
    """GET, or POST with a body, as a user with a password; the answer as JSON, None where there is none."""
    token = base64.b64encode(user.encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers, method=method), timeout=60) as response:
        return json.loads(response.read() or b"null")


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something; a server that is just down is asked again. Fails when it has not come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"waited {seconds:.0f} s for {what}")


def pause_schedules(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """What a person does in the page, once the scheduler has made runs of each: one would get between a test and its own.

    Returns the names of the deployments that have a schedule, and the runs made of each.
    """
    url, user = environment["PREFECT_API_URL"], environment["PREFECT_API_AUTH_STRING"]
    scheduled = [each for each in ask(f"{url}/deployments/filter", user, {}) if each["schedules"]]
    planned: dict[str, list[str]] = {}

    def look() -> bool:
        for each in scheduled:
            wanted = {
                "deployments": {"id": {"any_": [each["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            }
            runs = ask(f"{url}/flow_runs/filter", user, wanted)
            planned[each["name"]] = [run["id"] for run in runs if run["auto_scheduled"]]
        return all(planned.values())

    wait_until(look, 180, "runs that the scheduler makes")
    for deployment in scheduled:
        for schedule in deployment["schedules"]:
            path = f"{url}/deployments/{deployment['id']}/schedules/{schedule['id']}"
            ask(path, user, {"active": False}, "PATCH")
    return planned


@contextmanager
def receiver() -> Iterator[tuple[str, list[str]]]:
    """Somebody who is notified: an Apprise URL of a small web server, and the bodies it was sent."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/itrp", received
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    """The stack, up, with nothing in it."""
    with receiver() as (address, notified):
        yield from _open_desk(address, notified)


def _open_desk(address: str, notified: list[str]) -> Iterator[Desk]:
    try:
        find_program("initdb", "")
    except StackError:
        pytest.skip("needs PostgreSQL's server programs (Debian: postgresql) on the PATH")
    folder = Path(tempfile.mkdtemp(prefix="itrp-stack-"))  # not pytest's own: PostgreSQL runs as another user
    folder.chmod(0o755)
    settings = {"ITRP_NOTIFY_URL": address, "ITRP_QUARANTINE_ALERT": "5", "ITRP_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    hurry = {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # how often workers look for runs: every ten seconds by default
    stack = Stack(folder, choose_ports(), settings | hurry)
    stack.start()
    environment = stack.environment
    keys = (environment["ITRP_OBJECT_STORE_ACCESS_KEY"], environment["ITRP_OBJECT_STORE_SECRET_KEY"])
    catalog = open_catalog(environment["ITRP_CATALOG_URL"], migrate=False)
    store = open_store(environment["ITRP_OBJECT_STORE_URL"], *keys)
    try:
        yield Desk(stack, store, catalog, folder / "drawn", notified, pause_schedules(environment))
    finally:
        catalog.dispose()
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def trained(desk: Desk) -> Desk:
    """Both task models trained on landed tweets and given class names, all through deployments: versions 1 and 2."""
    from itrp.datasets.synthetic import write_itr_layout

    labelled = desk.drawn / "labelled"
    write_itr_layout(labelled, 80, 2)
    desk.land("first", 60, 3)
    desk.run("ingest-tweets")
    run = desk.start_as_typed(
        "ingest-tweets", layout="itr", name="labelled", path=str(labelled / "labels.csv"), images=str(labelled),
        controversial=str(labelled / "controversial_samples.txt"),
    )  # fmt: skip
    desk.wait_for(run, "COMPLETED")
    for task in ("text", "image"):
        desk.run("train-itrp", experiment=f"small-{task}", data="landing", overrides=QUICKLY)
        desk.run("evaluate-itrp", models=[f"itrp-{task}-task@challenger"], data="labelled")
    return desk


@pytest.fixture(scope="session")
def labelling(trained: Desk) -> Desk:
    """Both tasks have a champion, moved to it as a person does, and the archive is labelled."""
    desk = trained
    wait_until(lambda: len(desk.runs_of("promote-models")) >= 2 and not desk.busy(), 200, "the gate's decisions")
    for task in ("text", "image"):
        if desk.champion(task) is None:
            desk.move_champion(task, 2)
    wait_until(lambda: desk.idle() and bool(desk.labels(2, 2)), 300, "the labelled archive")
    return desk
