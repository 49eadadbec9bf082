"""PostgreSQL as the stack's first job leaves it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.docker import make_env
from infra.stack.postgres import make_postgres
from tests.infra.docker import check_compose
from tests.infra.docker.parts import EXAMPLE, Database, prepare
from tests.ports import free_ports


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """A filled .env."""
    return check_compose.read_example(make_env.fill(EXAMPLE, {}))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, str]) -> Iterator[Database]:
    if not shutil.which("initdb") or not shutil.which("psql"):
        pytest.skip("needs PostgreSQL's server programs and psql on the PATH")
    folder = tmp_path_factory.mktemp("postgres")
    for above in (folder, *folder.parents):  # root's temporary folders are closed to the user that runs PostgreSQL
        if Path(tempfile.gettempdir()) in above.parents:
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
