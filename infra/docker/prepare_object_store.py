"""The object store's buckets, versioning and keys; run by the job prepare-object-store, again and again.

Each bucket gets one user whose policy (policies/<bucket>.json) names that bucket alone, and collectors get one that may put
objects under landing/ and delete nothing (policies/collector.json). Users and policies are made through MinIO's admin
API; where the store is somebody else's (`OBJECT_STORE_USERS=outside`) buckets and keys have to exist, and are only tried.
Either way the job ends by trying them: a key that opens the other bucket, or lets collectors do more, is an error.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.minioadmin import MinioAdmin
from minio.versioningconfig import VersioningConfig
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from urllib3.exceptions import HTTPError

POLICIES = Path(__file__).with_name("policies")
BUCKETS = ("tweets", "mlflow")
COLLECTOR = "collector"
"""Whose keys those are that collectors get; the other users are named after their buckets."""
UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidAccessKey")
"""A store's answers to keys that it does not have."""


class Keys(BaseSettings):
    """What the job is given, by its environment."""

    object_store_endpoint: str
    object_store_users: str = "own"
    object_store_old_versions_days: int = 30
    object_store_root_user: str
    object_store_root_password: SecretStr
    itrp_object_store_access_key: str
    itrp_object_store_secret_key: SecretStr
    mlflow_object_store_access_key: str
    mlflow_object_store_secret_key: SecretStr
    collector_object_store_access_key: str
    collector_object_store_secret_key: SecretStr

    @property
    def users(self) -> dict[str, tuple[str, str]]:
        """Access key and secret key of each bucket's user, and of collectors."""
        return {
            "tweets": (self.itrp_object_store_access_key, self.itrp_object_store_secret_key.get_secret_value()),
            "mlflow": (self.mlflow_object_store_access_key, self.mlflow_object_store_secret_key.get_secret_value()),
            COLLECTOR: (
                self.collector_object_store_access_key,
                self.collector_object_store_secret_key.get_secret_value(),
            ),
        }


def make_buckets(client: Minio, buckets: list[str], days: int) -> None:
    """Make what is missing; keep overwritten and deleted objects for so many days."""
    for bucket in buckets:
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
        client.set_bucket_lifecycle(bucket, keep_old_versions(days))


def keep_old_versions(days: int) -> LifecycleConfig:
    """Without an end the disk would fill up with what nobody sees any more."""
    return LifecycleConfig(
        [
            Rule(
                ENABLED,
                rule_filter=Filter(prefix=""),
                rule_id="old-versions",
                noncurrent_version_expiration=NoncurrentVersionExpiration(noncurrent_days=days),
                expiration=Expiration(expired_object_delete_marker=True),
            )
        ]
    )


def make_users(admin: MinioAdmin, users: dict[str, tuple[str, str]]) -> None:
    """Each user with a policy of its own; a changed secret key is taken over."""
    for name, (access_key, secret_key) in users.items():
        policy = f"{name}-only"
        admin.policy_add(policy, policy=json.loads((POLICIES / f"{name}.json").read_text()))
        admin.user_add(access_key, secret_key)
        # not attach_policy: that one fails when the policy is attached already
        admin.policy_set(policy, user=access_key)


def try_users(endpoint: str, users: dict[str, tuple[str, str]]) -> list[str]:
    """What is wrong with the keys: one sentence for each bucket that is closed and should not be, or is open."""
    complaints = []
    for owner in BUCKETS:
        client = connect(endpoint, *users[owner])
        for bucket in BUCKETS:
            refusal = find_rejection(client, bucket)
            if bucket == owner and refusal:
                complaints.append(f"the keys for {owner}: expected them to open their bucket, found {refusal}")
            if bucket != owner and refusal != "AccessDenied":
                complaints.append(
                    f"the keys for {owner}: expected AccessDenied on {bucket}, found {refusal or 'no rejection'}"
                )
    return complaints


def try_collector(endpoint: str, keys: tuple[str, str]) -> list[str]:
    """What is wrong with the collectors' keys, one sentence each."""
    client = connect(endpoint, *keys)
    refusal = find_rejection(client, "tweets", "landing/")
    complaints = [f"the keys for collectors: expected them to open landing/, found {refusal}"] if refusal else []
    # nothing lies at that key: where it can be deleted, nothing is lost by trying
    tried = {
        "listing the bucket tweets": find_rejection(client, "tweets"),
        "listing the bucket mlflow": find_rejection(client, "mlflow"),
        "deleting under shards/": _rejection_of(lambda: client.remove_object("tweets", "shards/tried-at-the-start")),
    }
    for what, refusal in tried.items():
        if refusal != "AccessDenied":
            complaints.append(
                f"the keys for collectors: expected AccessDenied on {what}, found {refusal or 'no rejection'}"
            )
    return complaints


def find_rejection(client: Minio, bucket: str, prefix: str = "") -> str | None:
    """The store's reason for not listing a bucket, None when it does."""
    return _rejection_of(lambda: next(iter(client.list_objects(bucket, prefix)), None))


def _rejection_of(call: Callable[[], object]) -> str | None:
    try:
        call()
    except S3Error as error:
        return str(error.code)
    return None


def connect(endpoint: str, access_key: str, secret_key: str) -> Minio:
    """A client for http://host:port or https://host."""
    parts = urlsplit(endpoint)
    return Minio(parts.netloc, access_key, secret_key, secure=parts.scheme == "https")


def connect_admin(endpoint: str, access_key: str, secret_key: str) -> MinioAdmin:
    """The same for MinIO's admin API."""
    parts = urlsplit(endpoint)
    provider = StaticProvider(access_key, secret_key)
    return MinioAdmin(endpoint=parts.netloc, credentials=provider, secure=parts.scheme == "https")


def prepare(keys: Keys) -> list[str]:
    """Make what is missing and try it. Returns what is wrong."""
    endpoint, users = keys.object_store_endpoint, keys.users
    if keys.object_store_users == "own":
        root = (keys.object_store_root_user, keys.object_store_root_password.get_secret_value())
        make_buckets(connect(endpoint, *root), [*BUCKETS], keys.object_store_old_versions_days)
        make_users(connect_admin(endpoint, *root), users)
    elif find_rejection(connect(endpoint, *users[COLLECTOR]), "tweets", "landing/") in UNKNOWN:
        # .env draws them, and a store that was there before has not heard of them
        print("the store does not know the collectors' keys: make them there with infra/docker/policies/collector.json")
        return try_users(endpoint, users)
    return [*try_users(endpoint, users), *try_collector(endpoint, users[COLLECTOR])]


def main() -> int:
    """0 when everything is there and nothing is open that should not be."""
    try:
        complaints = prepare(Keys())
    except (MinioException, MinioAdminException, HTTPError) as error:
        complaints = [f"the object store rejected a request: {' '.join(str(error).split())[:300]}"]
    print(*(complaints or ["the object store is ready: buckets tweets and mlflow, each with its own keys"]), sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
