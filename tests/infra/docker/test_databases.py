"""The job prepare-databases on a real PostgreSQL that asks for passwords."""

import subprocess

import psycopg
import pytest

from tests.infra.docker.parts import COMPOSE, DOCKER, Database, environment_of, prepare


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
