"""The object store: SeaweedFS in one process, with keys that may touch one bucket each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.files import write_private
from infra.stack.ports import Ports
from infra.stack.service import Service, find_program, own_paths

HINT = "pip install 'itrp[stack]'"


@dataclass(frozen=True)
class Identity:
    """Who may do what, in SeaweedFS's words: Admin, Read, Write, List, Tagging, each also as `Read:bucket`."""

    name: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    actions: Sequence[str]


def own_bucket(name: str, access_key: str, secret_key: str, bucket: str) -> Identity:
    """An identity that may do everything with the objects of one bucket, and nothing else."""
    return Identity(
        name, access_key, secret_key, [f"{action}:{bucket}" for action in ("Read", "Write", "List", "Tagging")]
    )


def collecting(name: str, access_key: str, secret_key: str, bucket: str) -> Identity:
    """An identity that may list, read and write under landing/ in one bucket (to SeaweedFS that is also delete), and no more.

    The bucket's location, which clients ask for before anything else, takes Read of the bucket itself. `Read:bucket` would be
    all of its objects as well, but a pattern is matched to the whole of bucket/key: this one is the bucket's name alone.
    """
    return Identity(
        name, access_key, secret_key,
        [f"Read:{bucket[:-1]}?", *(f"{action}:{bucket}/landing/*" for action in ("Read", "Write", "List"))],
    )  # fmt: skip


def make_seaweedfs(
    folder: Path, ports: Ports, identities: Sequence[Identity], buckets: Sequence[str], log: Path
) -> Service:
    """SeaweedFS on a folder. It answers once every bucket is there."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    config = folder / "s3.json"
    write_private(config, json.dumps({"identities": [_describe(each) for each in identities]}))
    master, volume, filer, admin = ports.weed
    options: Mapping[str, object] = {
        "dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.telemetry": "false", "admin.ui": "false",
        "webdav": "false", "s3.config": config, "s3.port": ports.objects, "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock", "s3.port.iceberg": 0, "s3.port.lance": 0, "master.port": master,
        "volume.port": volume, "volume.preStopSeconds": 0, "filer.port": filer, "admin.port": admin,
        "bucket": ",".join(buckets),
    }  # fmt: skip
    admin_identity = next(each for each in identities if "Admin" in each.actions)

    def answers() -> bool:
        return _has_buckets(ports.objects, admin_identity, buckets)

    arguments = [f"-{name}={value}" for name, value in options.items()]
    command = [find_program("weed", HINT), "-logtostderr=true", "mini", *arguments]
    return Service("seaweedfs", command, log, answers, own_paths())


def _describe(identity: Identity) -> dict[str, object]:
    keys = {"accessKey": identity.access_key, "secretKey": identity.secret_key}
    return {"name": identity.name, "credentials": [keys], "actions": list(identity.actions)}


def _has_buckets(port: int, identity: Identity, buckets: Sequence[str]) -> bool:
    from minio import Minio
    from minio.error import MinioException
    from urllib3 import PoolManager, Retry
    from urllib3.exceptions import HTTPError

    impatient = PoolManager(retries=Retry(0), timeout=2)
    address = f"127.0.0.1:{port}"
    client = Minio(address, identity.access_key, identity.secret_key, secure=False, http_client=impatient)
    try:
        return all(client.bucket_exists(bucket) for bucket in buckets)
    except (HTTPError, MinioException):
        return False
