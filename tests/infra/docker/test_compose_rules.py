"""Each rule that docker-compose.yml is held to notices a file that breaks it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.docker import check_compose
from tests.infra.docker.check_compose import DONE, HEALTHY

COMPOSE, EXAMPLE = check_compose.load(Path(__file__).parents[3])

Services = dict[str, Any]
Break = Callable[[Services], None]


def change(name: str, **values: Any) -> Break:
    """A service with other values."""
    return lambda services: services[name].update(values)


def drop(name: str, key: str) -> Break:
    """A service without a key."""
    return lambda services: services[name].pop(key)


def tell(name: str, **variables: str) -> Break:
    """A service with other variables in its environment."""
    return lambda services: services[name]["environment"].update(variables)


def publish(name: str, port: Any) -> Break:
    """A service with one port more."""
    return lambda services: services[name].setdefault("ports", []).append(port)


def ask(name: str, **values: Any) -> Break:
    """A service with another health check."""
    return lambda services: services[name]["healthcheck"].update(values)


def wait(other: str, condition: str) -> Break:
    """A worker that waits for another service."""
    return change("cpu", depends_on={other: {"condition": condition}})


IMAGES: list[tuple[str, Break, str]] = [
    ("the newest", change("postgres", image="postgres:latest"), "postgres: expected an image"),
    ("no tag", change("queue", image="registry:5000/valkey"), "queue: expected an image"),
    (
        "no tag behind a variable",
        change("object-store", image="${IMAGE:-pgsty/silo}"),
        "object-store: expected an image",
    ),
    ("no image", drop("cpu", "image"), "cpu: expected an image"),
]
HEALTH: list[tuple[str, Break, str]] = [
    ("no health check", drop("mlflow", "healthcheck"), "mlflow: expected a health check"),
    ("health check off", ask("bridge", disable=True), "bridge: expected a health check"),
    ("a service that stays away", drop("mlflow", "restart"), "mlflow: expected restart"),
    ("a job with a port", publish("deploy", "127.0.0.1:80:80"), "deploy: a job with"),
    ("a job that comes back", change("deploy", restart="unless-stopped"), "deploy: expected a health check"),
]
SECRETS: list[tuple[str, Break, str]] = [
    ("a default", tell("mlflow", AWS_SECRET_ACCESS_KEY="${STORE_SECRET_KEY:-minioadmin}"), "${STORE_SECRET_KEY:?how"),
    ("a default if unset", tell("mlflow", AWS_SECRET_ACCESS_KEY="${STORE_SECRET_KEY-x}"), "${STORE_SECRET_KEY:?how"),
    ("empty", tell("queue", QUEUE_PASSWORD="${QUEUE_PASSWORD:-}"), "expected ${QUEUE_PASSWORD:?how to make it}"),
    ("not asked for", tell("queue", QUEUE_PASSWORD="${QUEUE_PASSWORD}"), "expected ${QUEUE_PASSWORD:?how to make it}"),
    ("no hint", tell("postgres", POSTGRES_PASSWORD="${POSTGRES_PASSWORD:?}"), "expected ${POSTGRES_PASSWORD:?how"),
    (
        "in an address",
        tell("cpu", ITRP_CATALOG_URL="postgresql://itrp:${ITRP_DB_PASSWORD:-itrp}@db"),
        "${ITRP_DB_PASSWORD:?",
    ),
    (
        "in the file",
        tell("mlflow", MLFLOW_AUTH_ADMIN_PASSWORD="password1234"),
        "MLFLOW_AUTH_ADMIN_PASSWORD has a value",
    ),
    (
        "a notification",
        tell("deploy", ITRP_NOTIFY_URL="${ITRP_NOTIFY_URL:-json://a}"),
        "expected ${ITRP_NOTIFY_URL:?how",
    ),
    (
        "on a command line",
        change("queue", command=["x", "${QUEUE_PASSWORD:?make it}"]),
        "queue: the secret QUEUE_PASSWORD",
    ),
    (
        "in an entrypoint",
        change("cpu", entrypoint="x ${PREFECT_PASSWORD:?make it}"),
        "cpu: the secret PREFECT_PASSWORD",
    ),
    (
        "in a check",
        ask("queue", test=["CMD", "${QUEUE_PASSWORD:?make it}"]),
        "QUEUE_PASSWORD is in its healthcheck",
    ),
]
PORTS: list[tuple[str, Break, str]] = [
    ("all interfaces", publish("mlflow", "5001:5000"), "mlflow: expected 127.0.0.1"),
    ("all interfaces, said", publish("cpu", "0.0.0.0:80:80"), "cpu: expected 127.0.0.1"),
    ("a number alone", publish("cpu", 80), "cpu: expected 127.0.0.1"),
    ("long form", publish("cpu", {"target": 80, "published": 80}), "cpu: expected 127.0.0.1"),
    ("the host's network", change("cpu", network_mode="host"), "cpu: the network of the host"),
]
HARDENING: list[tuple[str, Break, str]] = [
    ("root", drop("gpu", "user"), "gpu: expected a user that is not root"),
    ("root by number", change("deploy", user="0:0"), "deploy: expected a user that is not root"),
    ("new privileges", drop("cpu", "security_opt"), "cpu: expected security_opt"),
    ("capabilities", change("cpu", cap_add=["SYS_PTRACE"]), "cpu: expected cap_drop"),
    ("capabilities kept", drop("mlflow", "cap_drop"), "mlflow: expected cap_drop"),
    ("privileged", change("gpu", privileged=True), "gpu: expected cap_drop"),
    ("files that can be changed", drop("queue", "read_only"), "queue: expected read_only"),
    ("no memory limit", drop("postgres", "mem_limit"), "postgres: expected a mem_limit"),
    ("no process limit", drop("postgres", "pids_limit"), "postgres: expected a pids_limit"),
    ("logs without an end", drop("cpu", "logging"), "cpu: expected logging options"),
]
ORDER: list[tuple[str, Break, str]] = [
    ("a list", change("bridge", depends_on=["mlflow"]), "bridge: depends_on without conditions"),
    ("no condition", change("bridge", depends_on={"mlflow": None}), "bridge: expected mlflow to be waited for"),
    ("a job not done", wait("deploy", "service_started"), f"expected deploy to be waited for until {DONE}"),
    ("a server done", wait("mlflow", DONE), f"expected mlflow to be waited for until {HEALTHY}"),
    ("not there", wait("minio", HEALTHY), "cpu: depends on minio"),
]
VARIABLES: list[tuple[str, Break, str]] = [
    ("not explained", tell("cpu", ITRP_CACHE="${ITRP_CACHE:-big}"), "ITRP_CACHE: used, but not"),
    ("not used", change("cpu", mem_limit="1g"), "CPU_WORKER_MEMORY: in .env.example, but not used"),
    ("another default", change("cpu", mem_limit="${CPU_WORKER_MEMORY:-9g}"), "CPU_WORKER_MEMORY: '8g' in .env.example"),
]
BROKEN = [*IMAGES, *HEALTH, *SECRETS, *PORTS, *HARDENING, *ORDER, *VARIABLES]


@pytest.mark.parametrize(("break_it", "complaint"), [pytest.param(how, what, id=name) for name, how, what in BROKEN])
def test_a_broken_file_is_noticed(break_it: Break, complaint: str) -> None:
    # YAML's anchors make services share parts: a break must not spread to others
    services = {name: copy.deepcopy(service) for name, service in COMPOSE["services"].items()}
    break_it(services)
    found = check_compose.check({**COMPOSE, "services": services}, EXAMPLE)
    assert any(complaint in each for each in found), found


def test_a_name_of_the_file_is_noticed() -> None:
    assert any("top-level name" in each for each in check_compose.check({**COMPOSE, "name": "itrp"}, EXAMPLE))


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("\nQUEUE_PASSWORD=\n", "\nQUEUE_PASSWORD=hunter2\n", "QUEUE_PASSWORD: a secret with a value"),
        ("\nPREFECT_PORT=4200\n", "\n", "PREFECT_PORT: used, but not in .env.example"),
        ("# make: openssl rand -hex 24\nPREFECT_PASSWORD=", "PREFECT_PASSWORD=", "does not say how to make it"),
        ("\nITRP_NOTIFY_URL=\n", "\nITRP_NOTIFY_URL=json://example.org\n", "ITRP_NOTIFY_URL: a secret with a value"),
        (
            "\n# runs at a time on the cpu worker; the gpu worker takes one\n",
            "\n",
            "CPU_WORKER_LIMIT: no comment above it",
        ),
    ],
)
def test_a_broken_example_is_noticed(before: str, after: str, complaint: str) -> None:
    assert before in EXAMPLE
    found = check_compose.check(COMPOSE, EXAMPLE.replace(before, after))
    assert any(complaint in each for each in found), found
