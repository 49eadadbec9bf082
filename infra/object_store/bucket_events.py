"""What is put into a bucket, told by the server as it happens (MinIO and what is made of it).

Events make things faster and guarantee nothing: a server drops them when a listener is slow or gone. Whoever
must miss nothing lists the bucket as well.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote_plus

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from infra.errors import EventsUnsupportedError, ObjectKeyError, StoreUnavailableError
from infra.object_store import s3_client
from infra.object_store.objects import ObjectStore, check_key, check_prefix
from infra.object_store.s3_store import S3Store

logger = logging.getLogger(__name__)

READ_BYTES = 1 << 16


def listen_created(
    store: ObjectStore, prefix: str = "", *, stop: threading.Event, endings: str | tuple[str, ...] = ""
) -> Iterator[str | None]:
    """Keys under the prefix, with one of the endings, as objects are put there; ends soon after `stop` is set.

    None comes first, and after each break: listening has begun, and what was put before went unheard, so now is
    the time to list. A connection that breaks, or that the server leaves silent, is made again after a pause that
    grows. `stop` is noticed within a second, before a server that hangs within SILENT_SECONDS.

    Raises EventsUnsupportedError at the first step when the store is a folder or the server has no bucket events,
    StoreError when it rejects the keys or has no such bucket.
    """
    check_prefix(prefix)
    if not isinstance(store, S3Store):
        raise EventsUnsupportedError(
            f"expected an S3 server that emits bucket events, found {store.url}: list it from time to time"
        )
    failures = 0
    while not stop.is_set():
        try:
            with _opened(store, prefix, endings) as stream:
                failures = 0
                logger.info("listening for new objects under %r in %s", prefix, store.url)
                yield None
                yield from (key for key in _read_keys(stream, prefix, stop) if key.lower().endswith(endings))
        except StoreUnavailableError as error:
            logger.log(logging.DEBUG if failures else logging.WARNING, "listening for new objects: %s", error)
        failures += 1
        stop.wait(max(s3_client.BACKOFF_SECONDS, s3_client.pause_before(failures)))


def coalesce(keys: Iterable[str | None], *, quiet: float, longest: float) -> Iterator[list[str]]:
    """Bursts of keys: a list once nothing has come for `quiet` seconds, or `longest` seconds after its first.

    Each key once; a None counts as a sign of life without a key, so a burst may be empty. The keys are taken by a
    thread of their own: what they raise is raised here, after the burst before it.
    """
    heard: queue.SimpleQueue[str | _End | None] = queue.SimpleQueue()
    threading.Thread(target=_pass_on, args=(keys, heard), name="coalesce", daemon=True).start()
    while True:
        item = heard.get()
        deadline = time.monotonic() + longest
        burst: dict[str, None] = {}
        began = not isinstance(item, _End)
        while not isinstance(item, _End):
            if item is not None:
                burst[item] = None
            try:
                item = heard.get(timeout=max(0.0, min(quiet, deadline - time.monotonic())))
            except queue.Empty:
                break
        if began:
            yield [*burst]
        if isinstance(item, _End):
            if item.error:
                raise item.error
            return


class _End:
    """No more keys will come."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


def _pass_on(keys: Iterable[str | None], heard: "queue.SimpleQueue[str | _End | None]") -> None:
    try:
        for key in keys:
            heard.put(key)
    except Exception as error:  # whatever it is, it is raised where the bursts are read
        heard.put(_End(error))
    else:
        heard.put(_End(None))


@contextmanager
def _opened(store: S3Store, prefix: str, endings: str | tuple[str, ...]) -> Iterator[BaseHTTPResponse]:
    # A server takes one ending; of several, the wrong ones are dropped here.
    response = store.open_events(prefix, endings if isinstance(endings, str) else "")
    try:
        yield response
    finally:
        response.close()
        response.release_conn()


def _read_keys(stream: BaseHTTPResponse, prefix: str, stop: threading.Event) -> Iterator[str]:
    """Keys until `stop` is set, the stream breaks, or it holds something else than events."""
    rest = b""
    while not stop.is_set():
        try:
            data = stream.read1(READ_BYTES)
        except HTTPError as error:
            logger.warning("listening for new objects: the connection broke (%s)", type(error).__name__)
            return
        if not data:
            logger.warning("listening for new objects: the server ended the connection")
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield from _parse_keys(line, prefix)


def _parse_keys(line: bytes, prefix: str) -> Iterator[str]:
    """Keys of the records in one line; a line of blanks is a sign of life."""
    if not line.strip():
        return
    try:
        records = json.loads(line).get("Records") or []
        names = [str(record["s3"]["object"]["key"]) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.warning("listening for new objects: skipped %r, which is no event", line[:200])
        return
    for name in names:
        key = _decode(name, prefix)
        try:
            yield check_key(key)
        except ObjectKeyError:
            logger.debug("listening for new objects: skipped %r, which is no object key", key)


def _decode(name: str, prefix: str) -> str:
    """MinIO writes keys to listeners as they are (since 2020), others URL-encoded as AWS does in its messages.

    An encoded key has lost its slashes, so it does not begin with a prefix that holds one.
    """
    return name if name.startswith(prefix) else unquote_plus(name)
