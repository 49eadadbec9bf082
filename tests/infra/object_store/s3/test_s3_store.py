"""What only the S3 store has to get right: refusals, clocks, and that no secret comes out."""

import io
import logging
import socket
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import minio.time
import pytest
from minio import Minio

from infra.errors import ObjectMissingError, StoreError, StoreUnavailableError
from infra.object_store import ObjectStore, open_store
from infra.object_store.bucket_events import listen_created
from tests.infra.object_store.s3.juicefs import JuiceFS


def every_act(store: ObjectStore, key: str) -> list[Callable[[], object]]:
    return [
        lambda: [*store.list()],
        lambda: store.get(key),
        lambda: store.put(key, b"x"),
        lambda: store.put_if_absent(key, b"x"),
        lambda: store.delete([key]),
        store.check,
    ]


def failures(store: ObjectStore, key: str) -> list[str]:
    """The message of every act, each of which must fail; a traceback must not hold more than it."""
    messages = []
    for act in every_act(store, key):
        with pytest.raises(StoreError) as caught:
            act()
        whole = "".join(traceback.format_exception(caught.value))
        assert "X-Amz-Signature" not in whole
        assert "wrong-secret" not in whole
        assert "itrp-test-secret" not in whole
        assert not isinstance(caught.value, StoreUnavailableError)
        messages.append(str(caught.value))
    return messages


def test_a_wrong_access_key(any_server: Any, key: str) -> None:
    for message in failures(open_store(any_server.url(), "nobody", any_server.secret_key), key):
        assert "does not know the access key: correct ITRP_OBJECT_STORE_ACCESS_KEY" in message
        assert "nobody" not in message


def test_a_wrong_secret_key(any_server: Any, key: str) -> None:
    for message in failures(open_store(any_server.url(), any_server.access_key, "wrong-secret"), key):
        assert "rejects the secret key: correct ITRP_OBJECT_STORE_SECRET_KEY" in message


def test_keys_that_may_only_read(any_server: Any, any_store: ObjectStore, key: str) -> None:
    any_store.put(key, b"x")
    reader = open_store(any_server.url(), any_server.reader_access_key, any_server.reader_secret_key)
    assert reader.get(key) == b"x"
    assert reader.put_if_absent(key, b"y") is False
    for act in every_act(reader, key + "-new")[2:]:
        with pytest.raises(StoreError, match=r"rejected the keys: .* right to read and write the bucket"):
            act()
    with pytest.raises(StoreError, match="rejected the keys"):
        reader.delete([key, *(f"{key}/{number}" for number in range(1005))])
    assert any_store.get(key) == b"x"


def test_these_rights_are_enough(juicefs_server: JuiceFS, key: str) -> None:
    """What a worker's keys have to allow on MinIO; the last one of the bucket's only for bucket events."""
    bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListenBucketNotification"]
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    juicefs_server.add_user("worker-test-access", "worker-test-secret", bucket, objects)
    store = open_store(juicefs_server.url(), "worker-test-access", "worker-test-secret")
    store.check()
    store.put(f"{key}/large", b"x" * (17 << 20))  # in parts
    assert store.put_if_absent(f"{key}/x", b"x") is True
    assert [(info.key, len(store.get(info.key))) for info in store.list(key)] == [
        (f"{key}/large", 17 << 20),
        (f"{key}/x", 1),
    ]
    assert next(listen_created(store, key, stop=threading.Event())) is None
    store.delete([f"{key}/large", f"{key}/x"])
    assert [*store.list(key)] == []


def test_a_listener_without_the_right_to(juicefs_server: JuiceFS) -> None:
    reader = open_store(juicefs_server.url(), juicefs_server.reader_access_key, juicefs_server.reader_secret_key)
    with pytest.raises(StoreError, match="rejected the keys"):
        next(listen_created(reader, "landing/", stop=threading.Event()))


@pytest.mark.parametrize("minutes", [20, -20])
@pytest.mark.parametrize("region", ["", "&region=us-east-1"])
def test_a_clock_that_is_wrong(
    any_server: Any, key: str, minutes: int, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = minio.time.utcnow

    def wrong() -> datetime:
        return right() + timedelta(minutes=minutes)

    monkeypatch.setattr(minio.time, "utcnow", wrong)
    store = open_store(any_server.url() + region, any_server.access_key, any_server.secret_key)
    message = "has a clock over 15 minutes off this machine's: set both clocks"
    for act in every_act(store, key):
        with pytest.raises(StoreError, match=message):
            act()


def test_a_missing_bucket(any_server: Any, key: str) -> None:
    store = open_store(any_server.url("no-such-bucket"), any_server.access_key, any_server.secret_key)
    for message in failures(store, key):
        assert "has no such bucket: create it, or correct the name in ITRP_OBJECT_STORE_URL" in message
        assert "bucket no-such-bucket" in message


def test_the_check_tells_once_of_a_server_that_ignores_conditions(
    any_server: Any, any_store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    any_store.check()
    warnings = [record.getMessage() for record in caplog.records]
    if isinstance(any_server, JuiceFS):
        assert len(warnings) == 1
        assert "ignores If-None-Match: of two writers of one key at the same moment the last wins" in warnings[0]
    else:
        assert warnings == []


def test_nothing_answers(s3_server: Any, key: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        store = open_store(s3_server.url(port=port), s3_server.access_key, "hidden")
        with pytest.raises(StoreError, match=f"nothing answers at http://127.0.0.1:{port}: start the S3 server"):
            store.check()


def test_objects_that_are_none_of_ours_are_not_listed(s3_server: Any, store: ObjectStore, key: str) -> None:
    client = Minio(f"127.0.0.1:{s3_server.port}", s3_server.access_key, s3_server.secret_key, secure=False)
    for name in (f"{key}/folder/", f"{key}/delete\x7f", f".tmp/{key}", f"{key}/x"):
        client.put_object("tweets", name, io.BytesIO(b""), 0)
    assert [info.key for info in store.list(key)] == [f"{key}/x"]
    assert not [info for info in store.list() if info.key.startswith(".tmp")]
    with pytest.raises(ObjectMissingError):
        store.get(f"{key}/folder")


def test_objects_of_a_server_are_no_local_files(store: ObjectStore, key: str) -> None:
    store.put(key, b"x")
    assert store.local_path(key) is None


def test_the_url_and_the_name_hold_no_secret(s3_server: Any, store: ObjectStore) -> None:
    assert store.url == s3_server.url()
    assert s3_server.secret_key not in repr(store) + repr(vars(store))
