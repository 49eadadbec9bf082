"""The S3 store on a bad network, and before servers that do less than they should."""

import logging
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.errors import StoreError
from infra.object_store import ObjectStore, open_store


@dataclass
class Relay:
    """A relay to the real server that cuts connections or answers by itself: a bad network, another server.

    It carries one request a connection. `cut_after(n)`: bytes of the n-th answer (0-based) to pass on before
    the connection is cut; None for all. `answer(n, head)`: what to answer instead of the server; None to pass
    the request on.
    """

    server: int
    cut_after: Callable[[int], int | None] = lambda number: None
    answer: Callable[[int, bytes], bytes | None] = lambda number, head: None
    heads: list[bytes] = field(default_factory=list)
    port: int = 0


@contextmanager
def running(relay: Relay) -> Iterator[Relay]:
    """Run the relay on a free port while the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    relay.port = listener.getsockname()[1]
    thread = threading.Thread(target=accept, args=(relay, listener), daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def accept(relay: Relay, listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(relay, client), daemon=True).start()


def serve(relay: Relay, client: socket.socket) -> None:
    with client, suppress(OSError):
        head, body = read_request(client)
        number = len(relay.heads)
        relay.heads.append(head)
        answer = relay.answer(number, head)
        if answer is not None:
            client.sendall(answer)
            return
        with socket.create_connection(("127.0.0.1", relay.server)) as upstream:
            upstream.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
            pass_on(upstream, client, relay.cut_after(number))


def read_request(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(client)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += receive(client)
    return head, body


def receive(client: socket.socket) -> bytes:
    data = client.recv(65536)
    if not data:
        raise OSError("the client went away")
    return data


def pass_on(upstream: socket.socket, client: socket.socket, limit: int | None) -> None:
    passed = 0
    while data := upstream.recv(65536):
        if limit is not None:
            data = data[: limit - passed]
        client.sendall(data)
        passed += len(data)
        if passed == limit:
            return


def http_answer(status: str, code: str = "") -> bytes:
    body = f"<Error><Code>{code}</Code><Message>told so</Message></Error>".encode() if code else b""
    kind = "application/xml" if code else "text/plain"
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def open_through(relay: Relay, server: Any) -> ObjectStore:
    return open_store(server.url(port=relay.port) + "&region=us-east-1", server.access_key, server.secret_key)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter pauses between tries, as many tries."""
    monkeypatch.setattr("infra.s3_store.BACKOFF_SECONDS", 0.01)


@pytest.fixture
def store(s3_server: Any) -> ObjectStore:
    return open_store(s3_server.url(), s3_server.access_key, s3_server.secret_key)


@pytest.fixture
def key() -> str:
    return f"t-{uuid.uuid4().hex}"


def test_something_else_answers(s3_server: Any) -> None:
    page = http_answer("404 Not Found")
    with running(Relay(s3_server.port, answer=lambda number, head: page)) as relay:
        store = open_store(s3_server.url(port=relay.port), "key", "hidden")
        with pytest.raises(StoreError, match="is no S3 server: correct the endpoint"):
            store.check()


def test_clocks_apart(s3_server: Any) -> None:
    answer = http_answer("403 Forbidden", "RequestTimeTooSkewed")
    with running(Relay(s3_server.port, answer=lambda number, head: answer)) as relay:
        with pytest.raises(StoreError, match=r"has another time than this machine, .*: set both clocks"):
            open_through(relay, s3_server).check()
        assert len(relay.heads) == 1


@pytest.mark.parametrize("act", ["put", "put_if_absent"])
def test_server_faults_are_tried_again(s3_server: Any, store: ObjectStore, key: str, act: str) -> None:
    busy = http_answer("503 Slow Down", "SlowDown")
    with running(Relay(s3_server.port, answer=lambda number, head: busy if number < 2 else None)) as relay:
        assert getattr(open_through(relay, s3_server), act)(key, b"x")
    assert len(relay.heads) == 3
    assert store.get(key) == b"x"


@pytest.mark.parametrize("act", ["put", "put_if_absent"])
def test_server_faults_that_last_are_told(s3_server: Any, key: str, act: str) -> None:
    busy = http_answer("503 Slow Down", "SlowDown")
    with running(Relay(s3_server.port, answer=lambda number, head: busy)) as relay:
        with pytest.raises(StoreError, match=r"answered SlowDown \(told so\): look at the server's log"):
            getattr(open_through(relay, s3_server), act)(key, b"x")
        assert len(relay.heads) == 5


@pytest.mark.parametrize("act", ["put", "put_if_absent"])
def test_refusals_are_not_tried_again(s3_server: Any, key: str, act: str) -> None:
    refusal = http_answer("403 Forbidden", "AccessDenied")
    with running(Relay(s3_server.port, answer=lambda number, head: refusal)) as relay:
        with pytest.raises(StoreError, match="refused the keys"):
            getattr(open_through(relay, s3_server), act)(key, b"x")
        assert len(relay.heads) == 1


def test_a_broken_write_is_tried_again_and_its_url_stays_out_of_the_log(
    s3_server: Any, store: ObjectStore, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with running(Relay(s3_server.port, answer=lambda number, head: b"" if number < 2 else None)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, b"x") is True
    assert len(relay.heads) == 3
    assert store.get(key) == b"x"
    assert "Signature" not in caplog.text


def test_a_conflict_of_writers_is_tried_again(s3_server: Any, store: ObjectStore, key: str) -> None:
    conflict = http_answer("409 Conflict", "ConditionalRequestConflict")
    with running(Relay(s3_server.port, answer=lambda number, head: conflict if number < 1 else None)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, b"x") is True


def test_an_answer_lost_after_the_write_counts_as_there(s3_server: Any, store: ObjectStore, key: str) -> None:
    with running(Relay(s3_server.port, cut_after=lambda number: 10 if number < 1 else None)) as relay:
        assert open_through(relay, s3_server).put_if_absent(key, b"x") is False
    assert store.get(key) == b"x"


def test_a_server_that_refuses_conditions(s3_server: Any, key: str, caplog: pytest.LogCaptureFixture) -> None:
    refusal = http_answer("501 Not Implemented", "NotImplemented")

    def refuse_conditions(number: int, head: bytes) -> bytes | None:
        return refusal if b"if-none-match" in head.lower() else None

    with running(Relay(s3_server.port, answer=refuse_conditions)) as relay:
        store = open_through(relay, s3_server)
        assert store.put_if_absent(key, b"first") is True
        assert store.put_if_absent(key, b"second") is False
        assert store.get(key) == b"first"
    assert "refuses If-None-Match" in caplog.text


def test_the_check_warns_of_a_server_that_ignores_conditions(s3_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    written = http_answer("200 OK")

    def ignore_conditions(number: int, head: bytes) -> bytes | None:
        return written if b"if-none-match" in head.lower() else None

    with running(Relay(s3_server.port, answer=ignore_conditions)) as relay:
        open_through(relay, s3_server).check()
    assert "ignores If-None-Match: of two writers of one key the last wins" in caplog.text


def test_a_broken_read_goes_on_where_it_broke(s3_server: Any, store: ObjectStore, key: str) -> None:
    content = bytes(range(256)) * 20_000
    store.put(key, content)
    cuts = {0: 1_000_000, 1: 2_000_000}
    with running(Relay(s3_server.port, cut_after=lambda number: cuts.get(number))) as relay:
        assert open_through(relay, s3_server).get(key) == content
    ranges = [line for head in relay.heads for line in head.split(b"\r\n") if line.lower().startswith(b"range")]
    assert len(relay.heads) == 3
    assert len(ranges) == 2


def test_a_broken_read_does_not_go_on_in_other_content(s3_server: Any, store: ObjectStore, key: str) -> None:
    store.put(key, b"a" * 3_000_000)
    with running(Relay(s3_server.port, cut_after=lambda number: 1_500_000)) as relay:  # noqa: SIM117
        with open_through(relay, s3_server).open(key) as stream:
            assert stream.read(10) == b"a" * 10
            store.put(key, b"b" * 3_000_000)
            with pytest.raises(StoreError, match="another object at the key than when reading began"):
                stream.read()


def test_a_read_that_breaks_again_and_again(s3_server: Any, store: ObjectStore, key: str) -> None:
    store.put(key, b"a" * 3_000_000)
    with running(Relay(s3_server.port, cut_after=lambda number: 2_000)) as relay:  # noqa: SIM117
        with pytest.raises(StoreError, match="broke again and again"):
            open_through(relay, s3_server).get(key)
