"""The Prefect server on PostgreSQL, and the workers that take runs from its work pools."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from infra.stack.ports import Ports
from infra.stack.secrets import Secrets
from infra.stack.service import Service, find_program, own_paths, post_json, responds

USER = "admin"
WORKER = "worker-"
"""What the names of workers begin with; their pool follows."""
HINT = "pip install itrp"
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where the server keeps who holds a slot of a limit. In its memory, a restart would lose it, and running runs be ended."""


def make_prefect(folder: Path, ports: Ports, secrets: Secrets, log: Path) -> Service:
    """The server with its background services in one process; it brings its own tables up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    # names the process that holds it: of a killed server, whose number another process may have by now, it would lock for ever
    (folder / "concurrency_leases" / "expirations.lock").unlink(missing_ok=True)
    command = [find_program("prefect", HINT), "server", "start", "--host", "127.0.0.1", "--port", str(ports.prefect)]
    database = f"postgresql+asyncpg://prefect:{secrets.prefect_database_password}@127.0.0.1:{ports.postgres}/prefect"
    environment = {
        **own_paths(),
        "HOME": str(folder),
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{secrets.prefect_password}",
        "PREFECT_API_AUTH_STRING": f"{USER}:{secrets.prefect_password}",
        # the page asks the API at this address; the default is right for port 4200 alone
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{ports.prefect}/api",
        "PREFECT_API_URL": f"http://127.0.0.1:{ports.prefect}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "DO_NOT_TRACK": "1",
    }
    address = f"http://127.0.0.1:{ports.prefect}/api/health"
    return Service("prefect", command, log, lambda: responds(address), environment)


def make_worker(pool: str, ports: Ports, secrets: Secrets, environment: Mapping[str, str], log: Path) -> Service:
    """A worker of type process for a work pool. It answers once the server has heard of it since it was started."""
    command = [find_program("prefect", HINT), "worker", "start", "--pool", pool, "--type", "process", "--name", pool]
    if pool == "gpu":
        command += ["--limit", "1"]
    begun = datetime.now(UTC)

    def answers() -> bool:
        return any(heard > begun for heard in _heartbeats(ports, secrets, pool))

    return Service(WORKER + pool, command, log, answers, environment)


def _heartbeats(ports: Ports, secrets: Secrets, pool: str) -> list[datetime]:
    address = f"http://127.0.0.1:{ports.prefect}/api/work_pools/{pool}/workers/filter"
    try:
        found = post_json(address, {}, USER, secrets.prefect_password, seconds=5)
    except OSError:  # URLError is one
        return []
    return [datetime.fromisoformat(each["last_heartbeat_time"].replace("Z", "+00:00")) for each in found]
