"""MLflow's server with the accounts, host names and webhook settings of the compose file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.docker.answers import answers
from infra.stack.ports import free_ports
from infra.stack.service import Service
from tests.infra.compose.parts import COMPOSE, DOCKER, Database, ask, environment_of, run


def migrate_mlflow(database: Database, secrets: Mapping[str, str], folder: Path) -> str:
    """Run the job migrate-mlflow; returns what it says."""
    here = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(database.port),
        "MLFLOW_AUTH_CONFIG_PATH": str(DOCKER / "basic_auth.ini"),
    }
    command = [part.replace("/opt/itrp", str(DOCKER)) for part in COMPOSE["services"]["migrate-mlflow"]["command"]]
    return run(command, environment_of("migrate-mlflow", secrets, **here, HOME=str(folder)), folder)


@pytest.fixture(scope="module")
def mlflow(database: Database, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the MLflow server, migrated and started as Compose does it."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_ports(1)[0]
    for _ in range(2):
        migrate_mlflow(database, secrets, folder)
    command = [
        part.replace("0.0.0.0", "127.0.0.1").replace("5000", str(port))
        for part in COMPOSE["services"]["mlflow"]["command"]
    ]
    here = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(database.port),
        "MLFLOW_AUTH_CONFIG_PATH": str(DOCKER / "basic_auth.ini"),
    }
    environment = environment_of("mlflow", {**secrets, "MLFLOW_PORT": str(port)}, **here, HOME=str(folder))
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


@pytest.mark.slow
def test_a_changed_password_of_mlflow_is_taken_over(
    mlflow: str, secrets: dict[str, str], database: Database, tmp_path: Path
) -> None:
    changed = {**secrets, "MLFLOW_PASSWORD": "another-password"}
    assert "password is changed" in migrate_mlflow(database, changed, tmp_path)
    with database.connect("mlflow", "mlflow_auth") as connection:
        before = connection.execute("SELECT password_hash FROM users").fetchone()
    assert "password is changed" not in migrate_mlflow(database, changed, tmp_path)
    with database.connect("mlflow", "mlflow_auth") as connection:
        assert connection.execute("SELECT password_hash FROM users").fetchone() == before
    page = f"{mlflow}/api/2.0/mlflow/registered-models/search"
    # the running server may remember the old one for a minute; Compose starts it again, because its environment has changed
    assert ask(page, "admin:another-password")[0] == 200
    assert "password is changed" in migrate_mlflow(database, secrets, tmp_path)
