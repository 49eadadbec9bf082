"""The bridge and the bucket: bursts of new batch files start one ingestion, on a server with bucket events (MinIO's own code)."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.deployment import bridge
from flows.deployment.bridge import follow_bucket
from infra.object_store import open_store
from infra.settings import Settings
from tests.infra.object_store.s3.juicefs import JuiceFS


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


def test_a_burst_of_batches_starts_one_ingestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "QUIET_SECONDS", 0.5)
    server = JuiceFS(tmp_path / "juicefs")
    server.service.start()
    try:
        keys = {"object_store_access_key": server.access_key, "object_store_secret_key": server.secret_key}
        settings = Settings(work_dir=tmp_path / "work", object_store_url=server.url(), **keys)
        store = open_store(server.url(), server.access_key, server.secret_key)
        started: list[tuple[str, dict[str, Any]]] = []
        stop = threading.Event()
        listener = threading.Thread(
            target=follow_bucket, args=(settings, stop, lambda name, key, given: started.append((name, given)))
        )
        listener.start()
        wait_until(lambda: started == [("ingest-tweets", {})], "the listing at the beginning")
        for name in ("a/1.jpg", "a/batch.jsonl", "b/batch.json"):
            store.put(f"landing/{name}", b"{}")
        store.put("elsewhere/batch.jsonl", b"{}")
        wait_until(lambda: len(started) == 2, "the burst")
        assert started[1] == ("ingest-tweets", {"keys": ["landing/a/batch.jsonl", "landing/b/batch.json"]})
        stop.set()
        listener.join(15)
        assert not listener.is_alive()
    finally:
        server.service.stop()


def test_a_store_without_events_is_left_to_the_schedule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="flows.deployment.bridge"):
        follow_bucket(Settings(work_dir=tmp_path), threading.Event(), lambda *_: pytest.fail("started"))
    assert "no bucket events, the schedule finds new tweets" in caplog.text
