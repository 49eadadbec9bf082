"""A relay before a real server: a bad network, or a server that does less than it should."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Relay:
    """A relay to the real server that cuts connections, waits, or answers by itself.

    It carries one request a connection. `cut_after(n)`: bytes of the n-th answer (0-based) to pass on before
    the connection is cut; None for all. `answer(n, head)`: what to answer instead of the server; None to pass
    the request on. `wait(n)`: seconds to keep the n-th request waiting.
    """

    server: int
    cut_after: Callable[[int], int | None] = lambda number: None
    answer: Callable[[int, bytes], bytes | None] = lambda number, head: None
    wait: Callable[[int], float] = lambda number: 0.0
    heads: list[bytes] = field(default_factory=list)
    port: int = 0

    def count(self, method: str) -> int:
        """Requests of one method."""
        return sum(head.startswith(method.encode() + b" ") for head in self.heads)


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
        time.sleep(relay.wait(number))
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
