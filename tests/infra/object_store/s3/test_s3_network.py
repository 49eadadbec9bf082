"""The S3 store on a bad network, and before servers that do less than they should."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.errors import StoreError, StoreUnavailableError
from infra.object_store import ObjectStore, open_store, s3_client
from infra.parallel import map_in_order, open_pool
from tests.infra.object_store.s3.juicefs import JuiceFS
from tests.infra.object_store.s3.relay import Relay, http_answer, running

BUSY = http_answer("503 Slow Down", "SlowDown")
WRITES = pytest.mark.parametrize("act", ["put", "put_if_absent"])


def open_through(relay: Relay, server: Any) -> ObjectStore:
    return open_store(server.url(port=relay.port) + "&region=us-east-1", server.access_key, server.secret_key)


@pytest.fixture
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter pauses between fewer tries."""
    monkeypatch.setattr(s3_client, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(s3_client, "RETRIES", 4)


def test_something_else_answers(s3_server: Any) -> None:
    page = http_answer("404 Not Found")
    with running(Relay(s3_server.port, answer=lambda number, head: page)) as relay:
        store = open_store(s3_server.url(port=relay.port), "key", "hidden")
        with pytest.raises(StoreError, match="is no S3 server: correct the endpoint"):
            store.check()


@pytest.mark.usefixtures("_hurry")
def test_a_proxy_before_a_server_that_is_down(s3_server: Any, key: str) -> None:
    page = http_answer("502 Bad Gateway")
    with running(Relay(s3_server.port, answer=lambda number, head: page)) as relay:
        with pytest.raises(StoreUnavailableError, match=r"answered HTTP 502: check the server's log"):
            open_through(relay, s3_server).get(key)
        assert len(relay.heads) == 5


@WRITES
@pytest.mark.usefixtures("_hurry")
def test_server_faults_are_tried_again(any_server: Any, any_store: ObjectStore, key: str, act: str) -> None:
    with running(Relay(any_server.port, answer=lambda number, head: BUSY if number < 2 else None)) as relay:
        assert getattr(open_through(relay, any_server), act)(key, b"x")
    assert len(relay.heads) == (3 if act == "put" else 4)
    assert any_store.get(key) == b"x"


@pytest.mark.usefixtures("_hurry")
def test_a_conditional_write_of_a_file_is_tried_again(
    s3_server: Any, store: ObjectStore, key: str, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 400
    (tmp_path / "source").write_bytes(content)

    def answer(number: int, head: bytes) -> bytes | None:
        return BUSY if head.startswith(b"PUT") and relay.count("PUT") < 3 else None

    with running(Relay(s3_server.port, answer=answer)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, tmp_path / "source") is True
    assert relay.count("PUT") == 3
    assert store.get(key) == content


@WRITES
@pytest.mark.usefixtures("_hurry")
def test_server_faults_that_last_are_told(any_server: Any, key: str, act: str) -> None:
    def answer(number: int, head: bytes) -> bytes | None:
        return BUSY if head.startswith(b"PUT") else None

    with running(Relay(any_server.port, answer=answer)) as relay:
        with pytest.raises(StoreUnavailableError, match=r"answered SlowDown \(told so\): check the server's log"):
            getattr(open_through(relay, any_server), act)(key, b"x")
        assert relay.count("PUT") == 5


@WRITES
def test_refusals_are_not_tried_again(any_server: Any, key: str, act: str) -> None:
    rejection = http_answer("403 Forbidden", "AccessDenied")
    with running(Relay(any_server.port, answer=lambda number, head: rejection)) as relay:
        with pytest.raises(StoreError, match="rejected the keys") as caught:
            getattr(open_through(relay, any_server), act)(key, b"x")
        assert not isinstance(caught.value, StoreUnavailableError)
        assert relay.count("PUT") == 1


@pytest.mark.usefixtures("_hurry")
def test_an_answer_that_does_not_come_is_asked_for_again(
    any_server: Any, any_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "READ_SECONDS", 0.2)
    any_store.put(key, b"x" * 60_000)
    with running(Relay(any_server.port, wait=lambda number: 0.5 if number < 2 else 0.0)) as relay:
        assert open_through(relay, any_server).get(key) == b"x" * 60_000
    assert relay.count("GET") == 3
    with running(Relay(any_server.port, wait=lambda number: 0.5)) as relay:
        with pytest.raises(StoreUnavailableError, match="takes the request but does not answer: check its log"):
            open_through(relay, any_server).get(key)
        assert relay.count("GET") == 5


@pytest.mark.usefixtures("_hurry")
def test_a_listing_goes_on_where_a_page_failed(any_server: Any, any_store: ObjectStore, key: str) -> None:
    keys = [f"{key}/{number:04d}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(lambda each: any_store.put(each, b"x"), keys)]
    with running(Relay(any_server.port, answer=lambda number, head: BUSY if number == 1 else None)) as relay:
        assert [info.key for info in open_through(relay, any_server).list(key + "/")] == keys
    assert len(relay.heads) == 3
    with running(Relay(any_server.port, answer=lambda number, head: BUSY if number == 1 else None)) as relay:
        open_through(relay, any_server).delete(keys)
    assert len(relay.heads) == 3
    assert [*any_store.list(key + "/")] == []


def refuse_deletion(key: str, code: str) -> bytes:
    """The answer to a bulk deletion that failed for one key."""
    body = f"<DeleteResult><Error><Key>{key}</Key><Code>{code}</Code><Message>told so</Message></Error></DeleteResult>"
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.usefixtures("_hurry")
def test_single_objects_that_a_busy_server_did_not_delete(any_server: Any, any_store: ObjectStore, key: str) -> None:
    any_store.put(key, b"x")
    busy = refuse_deletion(key, "SlowDownWrite")
    with running(Relay(any_server.port, answer=lambda number, head: busy if number < 2 else None)) as relay:
        open_through(relay, any_server).delete([key, f"{key}-too"])
    assert relay.count("POST") == 3
    assert any_store.stat(key) is None
    with running(Relay(any_server.port, answer=lambda number, head: busy)) as relay:
        with pytest.raises(StoreUnavailableError, match=r"SlowDownWrite \(told so\)"):
            open_through(relay, any_server).delete([key])
        assert relay.count("POST") == 5
    rejected = refuse_deletion(key, "AccessDenied")
    with running(Relay(any_server.port, answer=lambda number, head: rejected)) as relay:
        with pytest.raises(StoreError, match="rejected the keys"):
            open_through(relay, any_server).delete([key])
        assert relay.count("POST") == 1


@pytest.mark.usefixtures("_hurry")
def test_many_reads_on_a_bad_network_give_whole_objects_in_order(
    any_server: Any, any_store: ObjectStore, key: str
) -> None:
    contents = {f"{key}/{number:02d}": bytes([number]) * (200_000 + number) for number in range(40)}
    for each, content in contents.items():
        any_store.put(each, content)

    def cut(number: int) -> int | None:
        return 100_000 if number % 3 == 0 else None

    def reject(number: int, head: bytes) -> bytes | None:
        return BUSY if number % 5 == 1 else None

    with running(Relay(any_server.port, cut_after=cut, answer=reject)) as relay, open_pool(8) as pool:
        found = map_in_order(pool, open_through(relay, any_server).get, contents, ahead=16)
        assert [*found] == [*contents.values()]
    assert len(relay.heads) > 60


@pytest.mark.usefixtures("_hurry")
def test_a_broken_write_is_tried_again_and_its_url_stays_out_of_the_log(
    any_server: Any, any_store: ObjectStore, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def answer(number: int, head: bytes) -> bytes | None:
        return b"" if head.startswith(b"PUT") and relay.count("PUT") < 3 else None

    with running(Relay(any_server.port, answer=answer)) as relay:
        assert open_through(relay, any_server).put_if_absent(key, b"x") is True
    assert relay.count("PUT") == 3
    assert any_store.get(key) == b"x"
    assert "Signature" not in caplog.text


@pytest.mark.usefixtures("_hurry")
def test_a_conflict_of_writers_is_tried_again(s3_server: Any, store: ObjectStore, key: str) -> None:
    conflict = http_answer("409 Conflict", "ConditionalRequestConflict")

    def answer(number: int, head: bytes) -> bytes | None:
        return conflict if head.startswith(b"PUT") and relay.count("PUT") < 2 else None

    with running(Relay(s3_server.port, answer=answer)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, b"x") is True
    assert relay.count("PUT") == 2


@pytest.mark.usefixtures("_hurry")
def test_an_answer_lost_after_the_write_counts_as_there(s3_server: Any, store: ObjectStore, key: str) -> None:
    with running(Relay(s3_server.port, cut_after=lambda number: 10 if number == 1 else None)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, b"x") is False
    assert relay.count("PUT") == 2
    assert store.get(key) == b"x"


def test_what_is_there_is_not_sent_again(any_server: Any, any_store: ObjectStore, key: str) -> None:
    any_store.put(key, b"first")
    with running(Relay(any_server.port)) as relay:
        assert open_through(relay, any_server).put_if_absent(key, b"second") is False
    assert relay.count("PUT") == 0


@pytest.mark.parametrize("code", ["NotImplemented", ""])
def test_a_server_that_refuses_conditions(
    s3_server: Any, key: str, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    rejection = http_answer("501 Not Implemented", code)

    def refuse_conditions(number: int, head: bytes) -> bytes | None:
        return rejection if b"if-none-match" in head.lower() else None

    with running(Relay(s3_server.port, answer=refuse_conditions)) as relay:
        store = open_through(relay, s3_server)
        assert store.put_if_absent(key, b"first") is True
        assert store.put_if_absent(key, b"second") is False
        assert store.get(key) == b"first"
        assert "rejects If-None-Match" in caplog.text
        store.check()
    assert "ignores If-None-Match" in caplog.text


def test_a_broken_read_goes_on_where_it_broke(any_server: Any, any_store: ObjectStore, key: str) -> None:
    content = bytes(range(256)) * 20_000
    any_store.put(key, content)
    cuts = {0: 1_000_000, 1: 2_000_000}
    with running(Relay(any_server.port, cut_after=lambda number: cuts.get(number))) as relay:
        assert open_through(relay, any_server).get(key) == content
    ranges = [line for head in relay.heads for line in head.split(b"\r\n") if line.lower().startswith(b"range")]
    assert len(relay.heads) == 3
    assert len(ranges) == 2


def test_a_broken_read_does_not_go_on_in_other_content(any_server: Any, any_store: ObjectStore, key: str) -> None:
    any_store.put(key, b"a" * 3_000_000)
    with running(Relay(any_server.port, cut_after=lambda number: 1_500_000)) as relay:  # noqa: SIM117
        with open_through(relay, any_server).open(key) as stream:
            assert stream.read(10) == b"a" * 10
            any_store.put(key, b"b" * 3_000_000)
            with pytest.raises(StoreError, match="a new object at the key since reading began"):
                stream.read()


@pytest.mark.usefixtures("_hurry")
def test_a_read_that_breaks_again_and_again(any_server: Any, any_store: ObjectStore, key: str) -> None:
    any_store.put(key, b"a" * 3_000_000)
    with running(Relay(any_server.port, cut_after=lambda number: 2_000)) as relay:  # noqa: SIM117
        with pytest.raises(StoreUnavailableError, match="broke again and again"):
            open_through(relay, any_server).get(key)


def test_a_server_that_is_gone_for_a_while_is_waited_for(mortal_server: JuiceFS, key: str) -> None:
    store = open_store(mortal_server.url(), mortal_server.access_key, mortal_server.secret_key)
    store.put(key, b"before")
    mortal_server.service.kill()
    back = threading.Thread(target=lambda: (time.sleep(1.5), mortal_server.service.start()))
    back.start()
    try:
        assert store.get(key) == b"before"
        assert store.put_if_absent(key + "-new", b"after") is True
    finally:
        back.join()


def test_pauses_grow_differ_and_end() -> None:
    assert [s3_client.pause_before(attempt) for attempt in (0, 1)] == [0, 0]
    for attempt, least in {2: 0.5, 3: 1, 4: 2, 5: 4, 6: 8}.items():
        pauses = {s3_client.pause_before(attempt) for _ in range(50)}
        assert least <= min(pauses) < max(pauses) <= least + 0.25
    assert s3_client.pause_before(7) == s3_client.pause_before(60) == s3_client.MAX_PAUSE_SECONDS
    assert sum(s3_client.pause_before(attempt) for attempt in range(s3_client.RETRIES + 1)) > 30
