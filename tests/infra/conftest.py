"""Real servers for the infrastructure's tests: SeaweedFS (S3) and PostgreSQL, on free ports of 127.0.0.1."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from infra.catalog import Catalog, open_catalog

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


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Free ports that are free 10,000 higher too, where weed puts its gRPC ports."""
    chosen: set[int] = set()
    while len(chosen) < count:
        port = random.randrange(20000, 30000)
        if is_free(port) and is_free(port + 10000):
            chosen.add(port)
    return sorted(chosen)


def wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server to answer; fails with its log when it ended or takes half a minute."""
    for _ in range(600):
        if process.poll() is not None:
            break
        if answers():
            return
        time.sleep(0.05)
    pytest.fail(f"the server did not come up:\n{log.read_text()[-3000:]}")


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(how)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with one bucket, an identity that may all and one that may only read."""
    folder = tmp_path_factory.mktemp("weed")
    s3, master, volume, filer, admin = free_ports(5)
    server = S3Server(s3)
    identities = [
        ("writer", server.access_key, server.secret_key, ["Admin", "Read", "Write", "List", "Tagging"]),
        ("reader", server.reader_access_key, server.reader_secret_key, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
    ]
    config = folder / "s3.json"
    config.write_text(
        json.dumps(
            {
                "identities": [
                    {"name": n, "credentials": [{"accessKey": a, "secretKey": s}], "actions": may}
                    for n, a, s, may in identities
                ]
            }
        )
    )
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    (folder / "data").mkdir()
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
        "s3.config": config,
        "s3.port": s3,
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.port": master,
        "volume.port": volume,
        "volume.preStopSeconds": 0,
        "filer.port": filer,
        "admin.port": admin,
        "bucket": BUCKET,
    }
    command = [
        str(weed),
        "-logtostderr=true",
        "mini",
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    log = folder / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(lambda: _has_bucket(server), process, log)
        yield server
    finally:
        stop(process)


def _has_bucket(server: S3Server) -> bool:
    from minio import Minio
    from minio.error import MinioException
    from urllib3 import PoolManager, Retry
    from urllib3.exceptions import HTTPError

    impatient = PoolManager(retries=Retry(0), timeout=1)
    client = Minio(
        f"127.0.0.1:{server.port}", server.access_key, server.secret_key, secure=False, http_client=impatient
    )
    try:
        return client.bucket_exists(BUCKET)
    except (HTTPError, MinioException):
        return False


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL cluster; PostgreSQL does not run as root, so root lends it another user."""
    programs = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if None in programs.values():
        pytest.skip("needs PostgreSQL's server programs (initdb, postgres) on the PATH")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user:
        shutil.chown(folder, user)
    port = free_ports(1)[0]
    data, log = folder / "data", folder / "postgres.log"
    try:
        subprocess.run(
            [str(programs["initdb"]), "-D", data, "-U", "itrp", "-A", "trust", "--no-sync", "-E", "UTF8"],
            user=user, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        command = [
            str(programs["postgres"]),
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-h",
            "127.0.0.1",
            "-F",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, user=user, cwd=folder)
        try:
            wait_until(lambda: "ready to accept connections" in log.read_text(), process, log)
            yield f"postgresql://itrp@127.0.0.1:{port}/postgres"
        finally:
            # Asked by SIGTERM, PostgreSQL would wait for its clients to leave.
            stop(process, signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
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
