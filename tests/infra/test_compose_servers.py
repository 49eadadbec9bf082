"""The compose file's own commands and environments, run without Docker: databases, MLflow, Prefect, queue.

What differs from the containers is where they are: host names become 127.0.0.1 and ports free ones.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psycopg
import pytest

from infra.docker import check_compose, make_env
from infra.docker.answers import answers
from infra.docker.check_compose import fill_defaults
from infra.stack.ports import free_ports
from infra.stack.postgres import connect, make_postgres
from infra.stack.service import Service

CHECKOUT = Path(__file__).parents[2]
DOCKER = CHECKOUT / "infra/docker"
COMPOSE, EXAMPLE = check_compose.load(CHECKOUT)
PROGRAMS = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server as the container makes it: passwords are asked for everywhere."""

    port: int
    log: Path
    secrets: Mapping[str, str]

    def connect(self, user: str, database: str, password: str | None = None) -> psycopg.Connection:
        name = "POSTGRES_PASSWORD" if user == "postgres" else f"{user.upper()}_DB_PASSWORD"
        return connect(self.port, user, password or self.secrets[name], database)


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """A filled .env."""
    return check_compose.read_example(make_env.fill(EXAMPLE, {}))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, str]) -> Iterator[Database]:
    if not shutil.which("initdb") or not shutil.which("psql"):
        pytest.skip("needs PostgreSQL's server programs and psql on the PATH")
    folder = tmp_path_factory.mktemp("postgres")
    for above in (folder, *folder.parents[:2]):  # root's temporary folders are closed to the user that runs PostgreSQL
        above.chmod(0o755)
    port = free_ports(1)[0]
    log = folder / "postgres.log"
    service = make_postgres(folder / "cluster", port, secrets["POSTGRES_PASSWORD"], log)
    service.start()
    try:
        found = Database(port, log, secrets)
        for _ in range(2):
            prepare(found, secrets)
        yield found
    finally:
        service.stop()


def environment_of(service: str, secrets: Mapping[str, str], **here: str) -> dict[str, str]:
    """What Compose would give the container, and what is different on this machine."""
    told = COMPOSE["services"][service]["environment"]
    return {**PROGRAMS, **{name: fill_defaults(str(value), secrets) for name, value in told.items()}, **here}


def prepare(database: Database, secrets: Mapping[str, str]) -> None:
    """Run the job prepare-databases."""
    command = [part.replace("/etc/itrp", str(DOCKER)) for part in COMPOSE["services"]["prepare-databases"]["command"]]
    here = {"PGHOST": "127.0.0.1", "PGPORT": str(database.port)}
    environment = environment_of("prepare-databases", secrets, **here)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def ask(address: str, user: str | None = None, data: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and answer of a page, for `name:password` or for nobody."""
    if user is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    body = None if data is None else json.dumps(data).encode()
    try:
        with urlopen(Request(address, body, {"Content-Type": "application/json", **headers}), timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.strip()[:1] in (b"{", b"[") else text.decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def wait(found: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found():
            return True
        time.sleep(0.5)
    return False


def run(command: list[str], environment: Mapping[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_user_has_its_own_database_and_no_other(database: Database) -> None:
    owned = {"prefect": ["prefect"], "mlflow": ["mlflow", "mlflow_auth"], "itrp": ["itrp"]}
    for user, databases in owned.items():
        for name in ("prefect", "mlflow", "mlflow_auth", "itrp"):
            if name not in databases:
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    database.connect(user, name)
                continue
            with database.connect(user, name) as connection:
                connection.execute("CREATE TABLE mine (a int)")
                connection.execute("DROP TABLE mine")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            database.connect(user, user, "wrong")


def test_no_user_may_do_more_than_use_its_database(database: Database) -> None:
    rights = """
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('prefect', 'mlflow', 'itrp') AND (rolsuper OR rolcreatedb OR rolcreaterole)
    """
    with database.connect("postgres", "postgres") as connection:
        assert connection.execute(rights).fetchall() == []


def test_a_changed_password_is_taken_over_and_data_stays(database: Database, secrets: dict[str, str]) -> None:
    with database.connect("itrp", "itrp") as connection:
        connection.execute("CREATE TABLE kept (a int)")
    changed = {**secrets, "ITRP_DB_PASSWORD": "another-password"}
    prepare(database, changed)
    with database.connect("itrp", "itrp", "another-password") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        connection.execute("DROP TABLE kept")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.connect("itrp", "itrp")
    prepare(database, secrets)


def test_no_password_reaches_the_servers_log(database: Database, secrets: dict[str, str]) -> None:
    command = [part.replace("/etc/itrp", str(DOCKER)) for part in COMPOSE["services"]["prepare-databases"]["command"]]
    here = {"PGHOST": "127.0.0.1", "PGPORT": str(database.port)}
    # the ordinary user may not do any of it: statements with passwords fail
    environment = environment_of(
        "prepare-databases", secrets, **here, PGUSER="itrp", PGPASSWORD=secrets["ITRP_DB_PASSWORD"]
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    log = database.log.read_text()
    assert [name for name, value in secrets.items() if "PASSWORD" in name and value in log + done.stderr] == []


@pytest.fixture(scope="module")
def mlflow(database: Database, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the MLflow server, migrated and started as Compose does it."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_ports(1)[0]
    here = {"PGHOST": "127.0.0.1", "PGPORT": str(database.port), "HOME": str(folder)}
    migration = COMPOSE["services"]["migrate-mlflow"]["command"]
    for _ in range(2):
        run(migration, environment_of("migrate-mlflow", secrets, **here), folder)
    command = [
        part.replace("0.0.0.0", "127.0.0.1").replace("5000", str(port))
        for part in COMPOSE["services"]["mlflow"]["command"]
    ]
    environment = environment_of(
        "mlflow", {**secrets, "MLFLOW_PORT": str(port)}, **here, MLFLOW_AUTH_CONFIG_PATH=str(DOCKER / "basic_auth.ini")
    )
    address = f"http://127.0.0.1:{port}"
    service = Service("mlflow", command, folder / "mlflow.log", lambda: answers(f"{address}/health"), environment)
    service.start()
    try:
        yield address
    finally:
        service.stop()


@pytest.mark.slow
def test_mlflow_asks_for_a_password_that_is_no_default(
    mlflow: str, secrets: dict[str, str], database: Database
) -> None:
    page = f"{mlflow}/api/2.0/mlflow/registered-models/search"
    assert ask(page)[0] == 401
    assert ask(page, "admin:wrong")[0] == 401
    assert ask(page, "admin:password1234")[0] == 401
    assert ask(page, f"admin:{secrets['MLFLOW_PASSWORD']}") == (200, {})
    # its accounts lie in their own database
    with database.connect("mlflow", "mlflow_auth") as connection:
        assert connection.execute("SELECT username, is_admin FROM users").fetchall() == [("admin", True)]


@pytest.mark.slow
def test_mlflow_answers_to_its_own_names_alone(mlflow: str, secrets: dict[str, str]) -> None:
    page = f"{mlflow}/api/2.0/mlflow/registered-models/search"
    user = f"admin:{secrets['MLFLOW_PASSWORD']}"
    port = mlflow.rpartition(":")[2]
    assert ask(page, user, Host="mlflow:5000")[0] == 200
    assert ask(page, user, Host=f"localhost:{port}")[0] == 200
    status, told = ask(page, user, Host="evil.example.org")
    assert (status, "Invalid Host header" in told) == (403, True)


@pytest.mark.slow
def test_mlflow_takes_the_bridges_webhook(mlflow: str, secrets: dict[str, str], database: Database) -> None:
    """Its address is private and without TLS, and its secret is encrypted in the database with the key of .env."""
    from cryptography.fernet import Fernet

    user = f"admin:{secrets['MLFLOW_PASSWORD']}"
    webhook = {
        "name": "bridge", "url": "http://127.0.0.1:4300/mlflow", "secret": secrets["ITRP_WEBHOOK_SECRET"],
        "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
    }  # fmt: skip
    status, told = ask(f"{mlflow}/api/2.0/mlflow/webhooks", user, webhook)
    assert status == 200, told
    with database.connect("mlflow", "mlflow") as connection:
        row = connection.execute("SELECT secret FROM webhooks").fetchone()
    assert row is not None
    key = secrets["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"]
    assert Fernet(key).decrypt(row[0].encode()).decode() == secrets["ITRP_WEBHOOK_SECRET"]


@dataclass(frozen=True)
class PrefectStack:
    """The API server, and the background services behind the queue."""

    address: str
    user: str
    services: Service
    """The background services."""


@pytest.fixture(scope="module")
def queue(secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The queue's own start script; Redis does where there is no Valkey."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("needs valkey-server or redis-server on the PATH")
    pytest.importorskip("prefect_redis", reason="needs the package prefect-redis")
    folder = tmp_path_factory.mktemp("queue")
    (folder / "valkey-server").symlink_to(program)
    port = free_ports(1)[0]
    environment = environment_of(
        "queue", secrets, PATH=f"{folder}:/usr/bin:/bin",
        QUEUE_FOLDER=str(folder), QUEUE_RUN=str(folder), QUEUE_PORT=str(port),
    )  # fmt: skip
    command = ["/bin/sh", str(DOCKER / "queue.sh")]
    service = Service("queue", command, folder / "queue.log", lambda: answers(f"tcp://127.0.0.1:{port}"), environment)
    service.start()
    try:
        assert service.process is not None
        seen = Path(f"/proc/{service.process.pid}/cmdline").read_text()
        assert secrets["QUEUE_PASSWORD"] not in seen
        assert (folder / "queue.conf").stat().st_mode & 0o077 == 0
        yield port
    finally:
        service.stop()


@pytest.fixture(scope="module")
def prefect(
    database: Database, queue: int, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectStack]:
    folder = tmp_path_factory.mktemp("prefect")
    port = free_ports(1)[0]

    def environment(service: str) -> dict[str, str]:
        told = environment_of(service, secrets, HOME=str(folder), PREFECT_HOME=str(folder / service))
        moved = {
            "postgres:5432": f"127.0.0.1:{database.port}", "queue:6379": f"127.0.0.1:{queue}",
            "/tmp/prefect-ui": str(folder / "ui"),
        }  # fmt: skip
        for before, after in moved.items():
            told = {name: value.replace(before, after) for name, value in told.items()}
        # prefect-redis is told host and port apart
        return {**told, "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1", "PREFECT_REDIS_MESSAGING_PORT": str(queue)}

    for _ in range(2):
        run(COMPOSE["services"]["migrate-prefect"]["command"], environment("migrate-prefect"), folder)
    command = [
        part.replace("0.0.0.0", "127.0.0.1").replace("4200", str(port))
        for part in COMPOSE["services"]["prefect-server"]["command"]
    ]
    address = f"http://127.0.0.1:{port}/api"
    server = Service(
        "prefect", command, folder / "server.log", lambda: answers(f"{address}/health"), environment("prefect-server")
    )
    services = COMPOSE["services"]["prefect-services"]["command"]
    behind = Service("services", services, folder / "services.log", lambda: True, environment("prefect-services"))
    try:
        server.start()
        behind.start()
        yield PrefectStack(address, f"admin:{secrets['PREFECT_PASSWORD']}", behind)
    finally:
        behind.stop()
        server.stop()


@pytest.mark.slow
def test_prefect_asks_for_its_password(prefect: PrefectStack) -> None:
    page = f"{prefect.address}/flows/filter"
    assert ask(page, data={})[0] == 401
    assert ask(page, "admin:wrong", data={})[0] == 401
    assert ask(page, prefect.user, data={}) == (200, [])


@pytest.mark.slow
def test_prefects_page_asks_the_api_at_the_published_address(prefect: PrefectStack) -> None:
    status, told = ask(f"{prefect.address.removesuffix('/api')}/ui-settings")
    assert (status, told["api_url"], told["auth"]) == (200, "http://127.0.0.1:4200/api", "BASIC")


@pytest.mark.slow
def test_events_reach_the_background_services(prefect: PrefectStack) -> None:
    """Kept and seen by automations: they run in the other process, so without the queue both would stay out."""
    event = {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": "itrp.champion.moved",
        "resource": {"prefect.resource.id": "itrp.model.text"},
    }  # fmt: skip
    automation = {
        "name": "a champion moved", "enabled": True, "actions": [{"type": "do-nothing"}],
        "trigger": {"type": "event", "expect": ["itrp.champion.moved"], "posture": "Reactive", "threshold": 1, "within": 0},
    }  # fmt: skip
    assert ask(f"{prefect.address}/automations/", prefect.user, automation)[0] == 201
    # an automation is known to the services a moment later
    kept: list[str] = []

    def send_and_look() -> bool:
        assert ask(f"{prefect.address}/events", prefect.user, [{**event, "id": str(uuid.uuid4())}])[0] == 204
        wanted = {"filter": {"event": {"prefix": ["itrp.", "prefect.automation.triggered"]}}}
        _, told = ask(f"{prefect.address}/events/filter", prefect.user, wanted)
        kept[:] = [each["event"] for each in told["events"]]
        return {"itrp.champion.moved", "prefect.automation.triggered"} <= set(kept)

    assert wait(send_and_look), kept


@pytest.mark.slow
def test_the_services_health_check_knows_them_alive_and_dead(prefect: PrefectStack) -> None:
    command = [sys.executable, str(DOCKER / "services_alive.py")]

    def status() -> int:
        return subprocess.run(command, env=dict(prefect.services.environment)).returncode

    assert wait(lambda: status() == 0)
    prefect.services.kill()
    assert wait(lambda: status() == 1)  # the API server, which is up, does not count
    prefect.services.start()
    assert wait(lambda: status() == 0)


def test_a_page_that_does_not_answer_is_not_well() -> None:
    port = free_ports(1)[0]
    assert not answers(f"http://127.0.0.1:{port}/health")
    assert not answers(f"tcp://127.0.0.1:{port}")
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}", timeout=1)
