"""What stands before every page: who may ask at all, how much, and what the browser may do with the answer."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""Content-Security-Policy: nothing from outside, nothing inline, in nobody's frame."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE = "no-store"
"""Of pages: they tell what people answered. Files that never change say otherwise themselves."""
MAX_BODY = 64 * 1024
"""Bytes of the largest form: a note of 2,000 characters is 18 KB at most."""
MAX_QUERY = 4_096
"""Bytes of the longest address."""
PER_MINUTE = 3_000
"""Requests of one visitor: a page of 24 tweets is 27."""
SAFE = ("GET", "HEAD")


class Guard:
    """ASGI middleware: rejects what is not for us before any page sees it, and puts the headers on every answer."""

    def __init__(self, app: App, *, addresses: tuple[str, ...], per_minute: int = PER_MINUTE) -> None:
        """addresses: where people open the page, such as http://127.0.0.1:4400; no other Host or Origin is answered."""
        self._app = app
        self._origins = {address.rstrip("/") for address in addresses}
        self._hosts = {urlsplit(address).netloc.lower() for address in addresses}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":  # nothing here speaks WebSocket
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        problem = self._find_problem(scope)
        if problem is not None:
            await _answer(*problem)(scope, receive, _with_headers(send))
            return
        await self._hand_on(scope, receive, _with_headers(send))

    def _find_problem(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if scope["path"] == "/health":  # asked by the machine itself under any name; tells nothing
            return None
        if headers.get("host", "").lower() not in self._hosts:
            # a page elsewhere whose name was made to mean this machine (DNS rebinding) asks under its own name
            return 421, f"This page is to be opened at {' or '.join(sorted(self._origins))}."
        if len(scope.get("query_string", b"")) > MAX_QUERY:
            return 414, "The address is too long."
        if scope["method"] not in SAFE:
            if scope["method"] != "POST":
                return 405, "Only GET, HEAD and POST are answered."
            if not self._is_own(headers):
                return 403, "This form comes from another site."
            length = headers.get("content-length", "0")
            if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
                return 413, "The form is too large."
        visitor = scope["client"][0] if scope.get("client") else ""
        if not self._limiter.hit(self._limit, visitor):
            return 429, "Too many requests: wait a minute."
        return None

    def _is_own(self, headers: Headers) -> bool:
        """Whether a form comes from a page of ours, as far as the browser says so; its token says it surely.

        With Referrer-Policy: no-referrer browsers send Origin: null, and Sec-Fetch-Site tells.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        return origin is None or origin in self._origins or origin == "null"

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, begun = 0, False

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:  # sent in pieces, without a length
                return {"type": "http.disconnect"}
            return message

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive_bounded, send_noting)
        except Exception:  # a fault of ours: the log says where, the browser that there is one
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if not begun:
                sentence = "Something failed, and the server's log says what. What you had saved is saved."
                await _answer(500, sentence)(scope, receive, send)


def _answer(status: int, sentence: str) -> PlainTextResponse:
    headers = {"Retry-After": "60"} if status == 429 else {}
    return PlainTextResponse(f"{sentence}\n", status, headers)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", PRIVATE)
        await send(message)

    return send_with_headers


class LoginLimit:
    """Tries of a password: a few for each name, more for each address, then a pause."""

    def __init__(self, *, per_name: int = 8, per_address: int = 40, minutes: int = 5) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._name = RateLimitItemPerMinute(per_name, minutes)
        self._address = RateLimitItemPerMinute(per_address, minutes)

    def allows(self, name: str, address: str) -> bool:
        """Count a try; False when it is one too many."""
        return self._limiter.hit(self._address, "address", address) and self._limiter.hit(self._name, "name", name)

    def wait_seconds(self, name: str) -> int:
        """How long until the name may be tried again, at least a second."""
        stats = self._limiter.get_window_stats(self._name, "name", name)
        return max(1, round(stats.reset_time - time.time()))
