"""MLflow's server with the accounts, host names and webhook settings of the compose file."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from infra.docker.answers import answers
from infra.errors import StackError
from infra.stack.mlflow_server import keep_scorer
from infra.stack.ports import Ports
from infra.stack.secrets import Secrets
from infra.stack.service import Service
from tests.infra.docker.parts import CHECKOUT, COMPOSE, DOCKER, PROGRAMS, Database, ask, environment_of, run
from tests.ports import free_ports


@dataclass(frozen=True)
class MlflowServer:
    """A running server."""

    address: str
    user: str
    environment: Mapping[str, str]
    """What its container would see."""


def environment_here(job: str, database: Database, secrets: Mapping[str, str], **here: str) -> dict[str, str]:
    """The environment of one of MLflow's containers on this machine."""
    config = str(DOCKER / "basic_auth.ini")
    return environment_of(
        job, secrets, PGHOST="127.0.0.1", PGPORT=str(database.port), MLFLOW_AUTH_CONFIG_PATH=config, **here
    )


def migrate_mlflow(database: Database, secrets: Mapping[str, str], folder: Path) -> str:
    """Run the job migrate-mlflow; returns what it says."""
    command = [part.replace("/opt/itrp", str(DOCKER)) for part in COMPOSE["services"]["migrate-mlflow"]["command"]]
    return run(command, environment_here("migrate-mlflow", database, secrets, HOME=str(folder)), folder)


@pytest.fixture(scope="module")
def bucket(s3_server: Any) -> Minio:
    """Where MLflow's artifacts go."""
    client = Minio(f"127.0.0.1:{s3_server.port}", s3_server.access_key, s3_server.secret_key, secure=False)
    client.make_bucket("mlflow")
    return client


@pytest.fixture(scope="module")
def mlflow(
    database: Database, secrets: dict[str, str], s3_server: Any, bucket: Minio, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Migrated and started as Compose does it."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    for _ in range(2):
        migrate_mlflow(database, secrets, folder)
    store = {
        "OBJECT_STORE_ENDPOINT": f"http://127.0.0.1:{s3_server.port}",
        "MLFLOW_OBJECT_STORE_ACCESS_KEY": s3_server.access_key,
        "MLFLOW_OBJECT_STORE_SECRET_KEY": s3_server.secret_key,
    }
    told = {**secrets, **store, "MLFLOW_PORT": str(port)}
    environment = environment_here("mlflow", database, told, HOME=str(folder))
    command = [
        part.replace("0.0.0.0", "127.0.0.1").replace("5000", str(port))
        for part in COMPOSE["services"]["mlflow"]["command"]
    ]
    service = Service("mlflow", command, folder / "mlflow.log", lambda: answers(f"{address}/health"), environment)
    service.start()
    try:
        yield MlflowServer(address, f"admin:{secrets['MLFLOW_PASSWORD']}", environment)
    finally:
        service.stop()


def test_mlflow_asks_for_a_password_that_is_no_default(
    mlflow: MlflowServer, secrets: dict[str, str], database: Database
) -> None:
    page = f"{mlflow.address}/api/2.0/mlflow/registered-models/search"
    assert ask(page)[0] == 401
    assert ask(page, "admin:wrong")[0] == 401
    assert ask(page, "admin:password1234")[0] == 401
    assert ask(page, mlflow.user) == (200, {})
    # its accounts lie in their own database
    with database.connect("mlflow", "mlflow_auth") as connection:
        found = connection.execute("SELECT username, is_admin FROM users ORDER BY username").fetchall()
    assert found == [("admin", True), ("scorer", False)]


def test_mlflow_answers_to_its_own_names_alone(mlflow: MlflowServer, secrets: dict[str, str]) -> None:
    page = f"{mlflow.address}/api/2.0/mlflow/registered-models/search"
    port = mlflow.address.rpartition(":")[2]
    assert ask(page, mlflow.user, Host="mlflow:5000")[0] == 200
    assert ask(page, mlflow.user, Host=f"localhost:{port}")[0] == 200
    status, told = ask(page, mlflow.user, Host="evil.example.org")
    assert (status, "Invalid Host header" in told) == (403, True)


def test_mlflow_takes_the_bridges_webhook(mlflow: MlflowServer, secrets: dict[str, str], database: Database) -> None:
    """Its address is private and without TLS, and its secret is encrypted in the database with the key of .env."""
    from cryptography.fernet import Fernet

    webhook = {
        "name": "bridge", "url": "http://127.0.0.1:4300/mlflow", "secret": secrets["ITRP_WEBHOOK_SECRET"],
        "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
    }  # fmt: skip
    status, told = ask(f"{mlflow.address}/api/2.0/mlflow/webhooks", mlflow.user, webhook)
    assert status == 200, told
    with database.connect("mlflow", "mlflow") as connection:
        row = connection.execute("SELECT secret FROM webhooks").fetchone()
    assert row is not None
    key = secrets["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"]
    assert Fernet(key).decrypt(row[0].encode()).decode() == secrets["ITRP_WEBHOOK_SECRET"]


def test_a_changed_password_of_mlflow_is_taken_over(
    mlflow: MlflowServer, secrets: dict[str, str], database: Database, tmp_path: Path
) -> None:
    changed = {**secrets, "MLFLOW_PASSWORD": "another-password"}
    assert "password is changed" in migrate_mlflow(database, changed, tmp_path)
    with database.connect("mlflow", "mlflow_auth") as connection:
        before = connection.execute("SELECT password_hash FROM users WHERE is_admin").fetchone()
    assert "password is changed" not in migrate_mlflow(database, changed, tmp_path)
    with database.connect("mlflow", "mlflow_auth") as connection:
        assert connection.execute("SELECT password_hash FROM users WHERE is_admin").fetchone() == before
    page = f"{mlflow.address}/api/2.0/mlflow/registered-models/search"
    # the running server may remember the old one for a minute; Compose starts it again, because its environment has changed
    assert ask(page, "admin:another-password")[0] == 200
    assert "password is changed" in migrate_mlflow(database, secrets, tmp_path)


REGISTER = """
import sys
from itrp.labels import Task
from serving.registry import CHAMPION, MODEL_NAMES, Registry, connect_mlflow
from pathlib import Path
registry = Registry(sys.argv[1], Path("models"))
client = connect_mlflow(registry.uri)
import mlflow
with mlflow.start_run() as run:
    mlflow.log_artifacts("saved", "logged/artifacts/saved")
for task, name in MODEL_NAMES.items():
    client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/logged", run.info.run_id)
    client.set_model_version_tag(name, version.version, "itrp.mapping", "[0, 1]")
    client.set_registered_model_alias(name, CHAMPION, version.version)
print(run.info.run_id)
"""
"""What training, evaluation and promotion leave, by the administrator's account that their workers have."""

NOTHING = """
import sys
from pathlib import Path
from serving.errors import NotFoundError, NotReadyError
from serving.registry import Registry
registry = Registry(sys.argv[1], Path("fetched"))
for ask, expected in ((registry.champions, NotReadyError), (lambda: registry.resolve("itrp-text-task/1"), NotFoundError)):
    try:
        ask()
    except expected as error:
        print(error)
"""

SCORE = """
import sys
from pathlib import Path
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from requests.exceptions import HTTPError
from serving.registry import CHAMPION, Registry, connect_mlflow
registry, run_id = Registry(sys.argv[1], Path("fetched")), sys.argv[2]
pair = registry.champions()
for version in (pair.text, pair.image):
    print("fetched", sorted(path.name for path in registry.fetch(version).iterdir()))
client = connect_mlflow(registry.uri)
name, uri = pair.text.name, pair.text.source
Path("evil.py").write_text("print('run by whoever loads the model')")
attempts = {
    "upload into the model": lambda: client.log_artifact(run_id, "evil.py", "logged"),
    "upload past the run": lambda: get_artifact_repository(uri).log_artifact("evil.py"),
    "delete what is there": lambda: get_artifact_repository(uri).delete_artifacts(),
    "register a version": lambda: client.create_model_version(name, uri, run_id),
    "move the alias": lambda: client.set_registered_model_alias(name, CHAMPION, "1"),
    "remove the alias": lambda: client.delete_registered_model_alias(name, CHAMPION),
    "tag a version": lambda: client.set_model_version_tag(name, "1", "itrp.mapping", "[1, 0]"),
    "delete a version": lambda: client.delete_model_version(name, "1"),
    "delete the model": lambda: client.delete_registered_model(name),
    "write into the run": lambda: client.log_metric(run_id, "f1", 1.0),
    "delete the run": lambda: client.delete_run(run_id),
    "run something there": lambda: client.create_run("0"),
}
for what, attempt in attempts.items():
    try:
        attempt()
        print("DONE", what)
    except MlflowException as error:
        print("refused", what, error.get_http_status_code())
    except HTTPError as error:
        print("refused", what, error.response.status_code)
"""


def test_the_scorer_reads_models_and_can_change_none(
    mlflow: MlflowServer, secrets: dict[str, str], bucket: Minio, tmp_path: Path
) -> None:
    """What it could change is what others load: a model's folder holds the code that mlflow.pyfunc.load_model runs."""
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/model.json").write_text("{}")

    def login(user: str, password: str) -> dict[str, str]:
        account = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": secrets[password]}
        return {**PROGRAMS, **account, "HOME": str(tmp_path), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

    def contents() -> dict[str | None, str | None]:
        return {found.object_name: found.etag for found in bucket.list_objects("mlflow", recursive=True)}

    # before there is any model MLflow says 403, where it tells an administrator 404
    nothing = run([sys.executable, "-c", NOTHING, mlflow.address], login("scorer", "MLFLOW_SCORER_PASSWORD"), tmp_path)
    assert "no champion yet for the text and the image task: train a model" in nothing
    assert "itrp-text-task has no version yet" in nothing
    admin = login("admin", "MLFLOW_PASSWORD")
    said = run([sys.executable, "-c", REGISTER, mlflow.address], admin, tmp_path)
    number = next(line for line in said.splitlines() if re.fullmatch("[0-9a-f]{32}", line))
    before = contents()
    assert len(before) == 1
    told = run(
        [sys.executable, "-c", SCORE, mlflow.address, number], login("scorer", "MLFLOW_SCORER_PASSWORD"), tmp_path
    )
    assert told.count("fetched ['model.json']") == 2
    assert "DONE" not in told
    rejected = [line for line in told.splitlines() if line.startswith("refused")]
    assert len(rejected) == 12
    assert all(line.endswith("403") for line in rejected), rejected
    assert contents() == before
    for name in ("itrp-text-task", "itrp-image-task"):  # for the next test, which counts what is left
        page = f"{mlflow.address}/api/2.0/mlflow/registered-models/alias?name={name}&alias=champion"
        assert ask(page, mlflow.user)[1]["model_version"]["version"] == "1"
    bucket.remove_object("mlflow", next(iter(before)) or "")


def test_a_changed_password_of_the_scorer_is_taken_over(
    mlflow: MlflowServer, secrets: dict[str, str], database: Database, tmp_path: Path
) -> None:
    """And whoever made an administrator of it is told nothing: it is none any more."""
    with database.connect("mlflow", "mlflow_auth") as connection:
        connection.execute("UPDATE users SET is_admin = true WHERE username = 'scorer'")
    changed = {**secrets, "MLFLOW_SCORER_PASSWORD": "another-password"}
    assert "the account of scoring workers is ready" in migrate_mlflow(database, changed, tmp_path)
    assert "the account of scoring workers is ready" not in migrate_mlflow(database, changed, tmp_path)
    with database.connect("mlflow", "mlflow_auth") as connection:
        assert connection.execute("SELECT is_admin FROM users WHERE username = 'scorer'").fetchone() == (False,)
    page = f"{mlflow.address}/api/2.0/mlflow/registered-models/search"
    assert ask(page, "scorer:another-password")[0] == 200
    migrate_mlflow(database, secrets, tmp_path)


def test_the_stack_of_processes_makes_the_same_account_once(
    mlflow: MlflowServer, secrets: dict[str, str], database: Database, tmp_path: Path
) -> None:
    with database.connect("mlflow", "mlflow_auth") as connection:
        connection.execute("DELETE FROM users WHERE username = 'scorer'")
    ports = Ports(mlflow=int(mlflow.address.rpartition(":")[2]))
    own = Secrets(mlflow_admin_password=secrets["MLFLOW_PASSWORD"])
    for _ in range(2):
        keep_scorer(ports, own)
    page = f"{mlflow.address}/api/2.0/mlflow/registered-models"
    user = f"scorer:{own.mlflow_scorer_password}"
    assert ask(f"{page}/search", user)[0] == 200
    assert ask(f"{mlflow.address}/api/2.0/mlflow/runs/create", user, {"experiment_id": "0"})[0] == 403
    with pytest.raises(StackError, match="MLflow rejected the account scorer: "):
        keep_scorer(ports, Secrets(mlflow_admin_password="wrong"))
    migrate_mlflow(database, secrets, tmp_path)


def test_artifacts_go_through_the_server_and_are_cleared_away(
    mlflow: MlflowServer, secrets: dict[str, str], bucket: Minio, tmp_path: Path
) -> None:
    """A client has a password and no keys of the bucket; what is deleted leaves it with the command of operations.md."""
    login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": secrets["MLFLOW_PASSWORD"]}
    client = {**PROGRAMS, **login, "MLFLOW_TRACKING_URI": mlflow.address, "HOME": str(tmp_path)}
    program = (
        "import mlflow\nwith mlflow.start_run() as run: mlflow.log_text('kept', 'note.txt')\nprint(run.info.run_id)"
    )
    number = run([sys.executable, "-c", program], client, tmp_path).split()[-1]

    def artifacts() -> list[str | None]:
        return [found.object_name for found in bucket.list_objects("mlflow", recursive=True)]

    assert artifacts() == [f"0/{number}/artifacts/note.txt"]
    assert ask(f"{mlflow.address}/api/2.0/mlflow/runs/delete", mlflow.user, {"run_id": number})[0] == 200
    text = (CHECKOUT / "docs/operations.md").read_text()
    found = re.search(r"exec mlflow sh -c '(export MLFLOW_TRACKING_URI[^']+)'", text)
    assert found is not None
    command = found[1].replace("http://127.0.0.1:5000", mlflow.address).replace("7d", "0d")
    run(["sh", "-ec", command], mlflow.environment, tmp_path)
    assert artifacts() == []
