"""The compose file's own commands and environments, run without Docker.

What differs from the containers is where they are: host names become 127.0.0.1 and ports free ones.
"""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg

from infra.stack.postgres import connect
from tests.infra.docker import check_compose
from tests.infra.docker.check_compose import fill_defaults

CHECKOUT = Path(__file__).parents[3]
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
