"""Listening to a bucket: JuiceFS's gateway tells what is put there, SeaweedFS and a folder do not."""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.errors import EventsUnsupportedError, StoreError
from infra.object_store import ObjectStore, open_store, s3_store
from infra.object_store.bucket_events import coalesce, listen_created
from tests.infra.object_store.s3.juicefs import JuiceFS
from tests.infra.object_store.s3.relay import Relay, http_answer, running

SECONDS = 30
"""How long anything may take before a test fails."""


class Ear:
    """A listener on a thread of its own: what it hears, and whether it has ended."""

    def __init__(self, listen: Callable[[threading.Event], Iterable[Any]]) -> None:
        self.stop = threading.Event()
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(listen,), daemon=True)
        self.thread.start()

    def _run(self, listen: Callable[[threading.Event], Iterable[Any]]) -> None:
        try:
            for item in listen(self.stop):
                self.heard.put(item)
        except Exception as error:  # looked at by the test
            self.error = error

    def next(self) -> Any:
        return self.heard.get(timeout=SECONDS)


@contextmanager
def listening(listen: Callable[[threading.Event], Iterable[Any]]) -> Iterator[Ear]:
    ear = Ear(listen)
    try:
        yield ear
    finally:
        ear.stop.set()
        ear.thread.join(SECONDS)
        assert not ear.thread.is_alive()


def open_on(server: Any, port: int | None = None) -> ObjectStore:
    return open_store(server.url(port=port), server.access_key, server.secret_key)


@pytest.fixture
def juicefs(juicefs_server: JuiceFS) -> ObjectStore:
    return open_on(juicefs_server)


def test_keys_arrive_as_they_are(juicefs: ObjectStore, key: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    keys = [f"{key}/{name}" for name in ("a.jsonl", "with space.jsonl", "ü/\U0001f600 é.jsonl", "a+b%20&=?#'\"<.jsonl")]
    with listening(lambda stop: listen_created(juicefs, key + "/", stop=stop)) as ear:
        assert ear.next() is None
        for each in keys:
            juicefs.put(each, b"x")
        juicefs.put_if_absent(f"{key}/first.jsonl", b"x")
        juicefs.put(f"{key}/large.jsonl", large)  # in parts
        juicefs.put(f"{key}-elsewhere", b"x")
        juicefs.delete(keys[:1])
        juicefs.put(keys[0], b"again")
        expected = [*keys, f"{key}/first.jsonl", f"{key}/large.jsonl", keys[0]]
        assert [ear.next() for _ in expected] == expected
        assert [juicefs.get(each) for each in keys[1:]] == [b"x"] * 3


@pytest.mark.parametrize("endings", [".jsonl", (".jsonl", ".json")])
def test_only_the_endings_asked_for(juicefs: ObjectStore, key: str, endings: str | tuple[str, ...]) -> None:
    with listening(lambda stop: listen_created(juicefs, key + "/", stop=stop, endings=endings)) as ear:
        assert ear.next() is None
        for name in ("1.jpg", "1.jsonl", "2.jpg", "2.json", "3.jsonl"):
            juicefs.put(f"{key}/{name}", b"x")
        expected = [name for name in ("1.jsonl", "2.json", "3.jsonl") if name.endswith(endings)]
        assert [ear.next() for _ in expected] == [f"{key}/{name}" for name in expected]


def test_many_at_once_all_arrive(juicefs: ObjectStore, key: str) -> None:
    keys = [f"{key}/{number}.jpg" for number in range(100)]
    with listening(lambda stop: listen_created(juicefs, key, stop=stop)) as ear:
        assert ear.next() is None
        for each in keys:
            juicefs.put(each, b"x")
        assert [ear.next() for _ in keys] == keys


def test_events_go_on_after_the_server_was_killed(
    mortal_server: JuiceFS, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_on(mortal_server)
    with listening(lambda stop: listen_created(store, key, stop=stop)) as ear:
        assert ear.next() is None
        store.put(f"{key}/before", b"x")
        assert ear.next() == f"{key}/before"
        for number in range(2):
            mortal_server.service.kill()
            time.sleep(0.5)  # at least one try finds nobody
            mortal_server.service.start()
            assert ear.next() is None
            store.put(f"{key}/after-{number}", b"x")
            assert ear.next() == f"{key}/after-{number}"
    assert ear.error is None
    mine = [record for record in caplog.records if record.name == "infra.object_store.bucket_events"]
    warnings = [record.getMessage() for record in mine if record.levelno == logging.WARNING]
    assert len(warnings) == 2  # one line a break, however often nobody was found
    assert all("the connection broke" in line or "ended the connection" in line for line in warnings)


def test_a_listener_may_be_there_before_the_server(
    mortal_server: JuiceFS, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_on(mortal_server)
    mortal_server.service.stop()
    with listening(lambda stop: listen_created(store, key, stop=stop)) as ear:
        time.sleep(0.5)
        assert ear.heard.empty()
        mortal_server.service.start()
        assert ear.next() is None
        store.put(f"{key}/x", b"x")
        assert ear.next() == f"{key}/x"
    assert f"nothing answers at http://127.0.0.1:{mortal_server.port}" in caplog.text


def test_a_cut_connection_is_made_again(juicefs_server: JuiceFS, juicefs: ObjectStore, key: str) -> None:
    with running(Relay(juicefs_server.port, cut_after=lambda number: 2_000)) as relay:
        through = open_store(
            juicefs_server.url(port=relay.port) + "&region=us-east-1",
            juicefs_server.access_key,
            juicefs_server.secret_key,
        )
        with listening(lambda stop: listen_created(through, key, stop=stop)) as ear:
            assert ear.next() is None
            juicefs.put(f"{key}/{0:04d}", b"x")
            assert ear.next() == f"{key}/{0:04d}"
            for number in range(1, 5):  # of about 900 bytes each: the third at the latest is cut
                juicefs.put(f"{key}/{number:04d}", b"x")
            while ear.next() is not None:
                pass
            juicefs.put(f"{key}/later", b"x")
            assert ear.next() == f"{key}/later"
    assert len(relay.heads) >= 2


def test_a_server_that_hangs_is_left(mortal_server: JuiceFS, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "SILENT_SECONDS", 1.0)
    store = open_on(mortal_server)
    process = mortal_server.service.process
    assert process is not None
    with listening(lambda stop: listen_created(store, key, stop=stop)) as ear:
        assert ear.next() is None
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        assert ear.next() is None
        store.put(f"{key}/x", b"x")
        assert ear.next() == f"{key}/x"
        process.send_signal(signal.SIGSTOP)
        ear.stop.set()
        ear.thread.join(5)
        assert not ear.thread.is_alive()
        process.send_signal(signal.SIGCONT)


def test_stopped_while_nothing_happens(juicefs: ObjectStore, key: str) -> None:
    ear = Ear(lambda stop: listen_created(juicefs, key, stop=stop))
    assert ear.next() is None
    ear.stop.set()
    ear.thread.join(3)  # the server's sign of life comes twice a second
    assert not ear.thread.is_alive()
    assert ear.error is None
    assert ear.heard.empty()


def test_stopped_while_the_server_is_gone(mortal_server: JuiceFS, key: str) -> None:
    mortal_server.service.kill()
    ear = Ear(lambda stop: listen_created(open_on(mortal_server), key, stop=stop))
    time.sleep(0.5)
    ear.stop.set()
    ear.thread.join(3)
    assert not ear.thread.is_alive()
    assert ear.error is None


def test_a_server_without_events_says_so_at_once(s3_server: Any) -> None:
    for region in ("", "&region=us-east-1"):
        store = open_store(s3_server.url() + region, s3_server.access_key, s3_server.secret_key)
        with pytest.raises(
            EventsUnsupportedError, match=r"to emit bucket events, found none: list the bucket from time to time"
        ):
            next(iter(listen_created(store, "landing/", stop=threading.Event())))


def test_a_server_that_answers_with_a_listing_has_no_events(s3_server: Any) -> None:
    listing = http_answer("200 OK").replace(b"text/plain", b"application/xml")
    with running(Relay(s3_server.port, answer=lambda number, head: listing)) as relay:
        store = open_store(
            s3_server.url(port=relay.port) + "&region=us-east-1", s3_server.access_key, s3_server.secret_key
        )
        with pytest.raises(EventsUnsupportedError, match="to emit bucket events, found none"):
            next(iter(listen_created(store, "landing/", stop=threading.Event())))


def test_a_folder_has_no_events(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    with pytest.raises(EventsUnsupportedError, match="list it from time to time"):
        next(iter(listen_created(store, "landing/", stop=threading.Event())))


def test_refusals_are_told_and_not_tried_again(juicefs_server: JuiceFS) -> None:
    for url, secret, message in (
        (juicefs_server.url(), "wrong-secret", "rejects the secret key"),
        (juicefs_server.url("no-such-bucket"), juicefs_server.secret_key, "has no such bucket"),
    ):
        store = open_store(url, juicefs_server.access_key, secret)
        with pytest.raises(StoreError, match=message) as caught:
            next(iter(listen_created(store, "landing/", stop=threading.Event())))
        assert not isinstance(caught.value, EventsUnsupportedError)


def answer_with_events(*lines: bytes) -> bytes:
    body = b"\n".join(lines) + b"\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def test_encoded_keys_are_decoded_and_what_is_no_event_is_passed_over(s3_server: Any) -> None:
    """Servers that write keys as AWS does, and lines that nobody expects."""
    events = answer_with_events(
        b' {"Records":[{"s3":{"object":{"key":"landing%2Fa+b%2F%C3%BC%2B.jsonl"}}}]}',
        b'{"Records":null}',
        b"   ",
        b"<html>",
        b'{"Records":[{"s3":{}}]}',
        b'{"Records":[{"s3":{"object":{"key":"landing/folder/"}}}]}',
        b'{"Records":[{"s3":{"object":{"key":"landing/x"}}},{"s3":{"object":{"key":"landing/y%20"}}}]}',
    )
    with running(Relay(s3_server.port, answer=lambda number, head: events)) as relay:
        store = open_store(
            s3_server.url(port=relay.port) + "&region=us-east-1", s3_server.access_key, s3_server.secret_key
        )
        with listening(lambda stop: listen_created(store, "landing/", stop=stop)) as ear:
            heard = [ear.next() for _ in range(5)]
    assert heard == [None, "landing/a b/ü+.jsonl", "landing/x", "landing/y%20", None]


def test_a_burst_gives_one_signal(juicefs: ObjectStore, key: str) -> None:
    def bursts(stop: threading.Event) -> Iterator[list[str]]:
        return coalesce(listen_created(juicefs, key, stop=stop), quiet=0.5, longest=SECONDS)

    with listening(bursts) as ear:
        assert ear.next() == []  # listening has begun: time to list
        keys = [f"{key}/{number:03d}" for number in range(50)]
        for each in [*keys, keys[0]]:
            juicefs.put(each, b"x")
        assert ear.next() == keys
        juicefs.put(f"{key}/later", b"x")
        assert ear.next() == [f"{key}/later"]


def test_what_does_not_end_is_told_after_the_longest_wait() -> None:
    def drip(stop: threading.Event) -> Iterator[str]:
        for number in range(10_000):
            if stop.wait(0.02):
                return
            yield f"{number:05d}"

    with listening(lambda stop: coalesce(drip(stop), quiet=SECONDS, longest=0.5)) as ear:
        first, second = ear.next(), ear.next()
    assert 1 < len(first) < 100
    assert first[0] == "00000"
    assert second[0] == f"{len(first):05d}"  # none is lost, none comes twice


def test_the_end_and_errors_come_after_the_last_burst() -> None:
    def break_off() -> Iterator[str]:
        yield "a"
        yield "b"
        raise EventsUnsupportedError("no events")

    bursts = coalesce(break_off(), quiet=SECONDS, longest=SECONDS)
    assert next(bursts) == ["a", "b"]
    with pytest.raises(EventsUnsupportedError, match="no events"):
        next(bursts)
    assert [*coalesce(iter(["a", None, "a"]), quiet=SECONDS, longest=SECONDS)] == [["a"]]
    assert [*coalesce(iter([]), quiet=1, longest=1)] == []
