"""Real servers for the infrastructure's tests, the stack's own: SeaweedFS (S3) and PostgreSQL, on free ports of 127.0.0.1."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from infra.catalog.database import Catalog, open_catalog
from infra.errors import StackError
from infra.stack.postgres import make_postgres
from infra.stack.seaweedfs import Identity, make_seaweedfs
from tests.ports import choose_ports, free_ports

BUCKET = "tweets"


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and the keys it knows."""

    port: int
    access_key: str = "itrp-test-access"
    secret_key: str = "itrp-test-secret"
    reader_access_key: str = "reader-test-access"
    reader_secret_key: str = "reader-test-secret"

    def url(self, bucket: str = BUCKET, port: int | None = None) -> str:
        return f"s3://{bucket}?endpoint=http://127.0.0.1:{port or self.port}"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with one bucket, an identity that may all and one that may only read."""
    folder, ports = tmp_path_factory.mktemp("weed"), choose_ports()
    server = S3Server(ports.objects)
    identities = [
        Identity("writer", server.access_key, server.secret_key, ["Admin", "Read", "Write", "List", "Tagging"]),
        Identity("reader", server.reader_access_key, server.reader_secret_key, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
    ]
    service = make_seaweedfs(folder, ports, identities, [BUCKET], folder / "weed.log")
    service.start()
    yield server
    service.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL cluster."""
    folder = Path(
        tempfile.mkdtemp(prefix="pg")
    )  # not pytest's own: where root runs the tests, PostgreSQL is another user
    folder.chmod(0o755)
    (port,), password = free_ports(1), uuid.uuid4().hex
    try:
        service = make_postgres(folder / "postgres", port, password, folder / "postgres.log", ["-F"])
    except StackError as error:
        shutil.rmtree(folder)
        pytest.skip(str(error))
    service.start()
    yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    service.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database that nothing was ever done in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/catalog.db"
        return
    server: str = request.getfixturevalue("postgres_url")
    name = f"t_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    yield server.rpartition("/")[0] + "/" + name


@pytest.fixture
def catalog(fresh_url: str) -> Iterator[Catalog]:
    catalog = open_catalog(fresh_url)
    yield catalog
    catalog.dispose()
