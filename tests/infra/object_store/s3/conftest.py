"""The S3 servers that the store's tests run on, and stores on them."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from minio import Minio
from minio.versioningconfig import ENABLED, VersioningConfig

from infra.object_store import ObjectStore, open_store
from tests.infra.object_store.s3.juicefs import JuiceFS


@pytest.fixture(scope="session")
def juicefs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JuiceFS]:
    """JuiceFS's gateway with one identity that may all and one that may only read; nobody may stop this one."""
    server = JuiceFS(tmp_path_factory.mktemp("juicefs"))
    server.service.start()
    reading = (["s3:GetBucketLocation", "s3:ListBucket"], ["s3:GetObject"])
    server.add_user(server.reader_access_key, server.reader_secret_key, *reading)
    yield server
    server.service.stop()


@pytest.fixture(scope="session")
def versioned_bucket(s3_server: Any) -> str:
    """A bucket of SeaweedFS that keeps what is written over or deleted, as the one of docker-compose.yml does."""
    client = Minio(f"127.0.0.1:{s3_server.port}", s3_server.access_key, s3_server.secret_key, secure=False)
    client.make_bucket("versioned")
    client.set_bucket_versioning("versioned", VersioningConfig(ENABLED))
    return "versioned"


@pytest.fixture(params=["s3_server", "juicefs_server"], ids=["seaweedfs", "juicefs"])
def any_server(request: pytest.FixtureRequest) -> Any:
    """Each of the two servers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def any_store(any_server: Any) -> ObjectStore:
    return open_store(any_server.url(), any_server.access_key, any_server.secret_key)


@pytest.fixture
def store(s3_server: Any) -> ObjectStore:
    """SeaweedFS."""
    return open_store(s3_server.url(), s3_server.access_key, s3_server.secret_key)


@pytest.fixture
def key() -> str:
    """A key nobody else writes."""
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[JuiceFS]:
    """A JuiceFS gateway of the test's own, to be killed and started."""
    server = JuiceFS(tmp_path / "juicefs")
    server.service.start()
    yield server
    server.service.stop()
