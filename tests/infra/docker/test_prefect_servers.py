"""Prefect's API server, its background services and the queue between them."""

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from infra.docker.answers import answers
from infra.stack.service import Service
from tests.infra.docker.parts import COMPOSE, DOCKER, Database, ask, environment_of, run, wait
from tests.ports import free_ports


@dataclass(frozen=True)
class PrefectStack:
    """The API server, and the background services behind the queue."""

    address: str
    user: str
    server: Service
    """The API server."""
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
        yield PrefectStack(address, f"admin:{secrets['PREFECT_PASSWORD']}", server, behind)
    finally:
        behind.stop()
        server.stop()


def test_prefect_asks_for_its_password(prefect: PrefectStack) -> None:
    page = f"{prefect.address}/flows/filter"
    assert ask(page, data={})[0] == 401
    assert ask(page, "admin:wrong", data={})[0] == 401
    assert ask(page, prefect.user, data={}) == (200, [])


def test_prefects_page_asks_the_api_at_the_published_address(prefect: PrefectStack) -> None:
    status, told = ask(f"{prefect.address.removesuffix('/api')}/ui-settings")
    assert (status, told["api_url"], told["auth"]) == (200, "http://127.0.0.1:4200/api", "BASIC")


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


def test_a_lease_outlives_the_server_that_gave_it(prefect: PrefectStack) -> None:
    """Kept in the queue: from the server's memory it would be gone, and the run that holds it be ended."""
    limits = f"{prefect.address}/v2/concurrency_limits"
    assert ask(f"{limits}/", prefect.user, {"name": "one-at-a-time", "limit": 1})[0] == 201
    wanted = {"names": ["one-at-a-time"], "slots": 1, "mode": "concurrency", "lease_duration": 300}
    status, held = ask(f"{limits}/increment-with-lease", prefect.user, wanted)
    assert status == 200
    prefect.server.kill()
    prefect.server.start()
    assert ask(f"{limits}/leases/{held['lease_id']}/renew", prefect.user, {"lease_duration": 300})[0] == 204
    assert ask(f"{limits}/increment-with-lease", prefect.user, wanted)[0] == 423  # and nobody else gets the slot
    assert ask(f"{limits}/leases/{uuid.uuid4()}/renew", prefect.user, {"lease_duration": 300})[0] == 410


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
