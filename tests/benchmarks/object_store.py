"""How many objects a second the store writes, reads, looks at, lists and deletes, by the number of threads.

    python -m tests.benchmarks.object_store                          # SeaweedFS and JuiceFS's gateway, started here
    python -m tests.benchmarks.object_store --url s3://tweets?endpoint=http://host:9000   # a server that is there

Its keys are then read from ITRP_OBJECT_STORE_ACCESS_KEY and ITRP_OBJECT_STORE_SECRET_KEY; what is written there lies
under `benchmark-…/` and is deleted in the end. Servers started here share the machine with the client, so the figures
are a lower limit of what either can do alone.
"""

import argparse
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.object_store import ObjectStore, open_store
from infra.parallel import map_in_order, open_pool
from infra.stack.seaweedfs import Identity, make_seaweedfs
from tests.infra.object_store.s3.juicefs import BUCKET, JuiceFS
from tests.ports import choose_ports

THREADS = (1, 8, 32)


@dataclass(frozen=True)
class Row:
    """Objects a second of each act with so many threads."""

    store: str
    threads: int
    rates: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a store that is there; without it servers are started here")
    parser.add_argument("--objects", type=int, default=2000, help="objects a row (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=60_000, help="bytes an object (default: %(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS, help="threads, one row each")
    args = parser.parse_args(arguments)
    print(f"{args.objects} objects of {args.bytes} bytes; {os.cpu_count()} cores")
    for name, store in _open_stores(args.url):
        for threads in args.threads:
            print(format_row(measure(name, store, threads, args.objects, args.bytes)), flush=True)


def measure(name: str, store: ObjectStore, threads: int, objects: int, size: int) -> Row:
    """Write, look at, read, list and delete so many objects of random bytes."""
    prefix = f"benchmark-{uuid.uuid4().hex}/"
    keys = [f"{prefix}{number:06d}.jpg" for number in range(objects)]
    body = os.urandom(size)
    rates: dict[str, float] = {}

    def time_act(act: str, run: Callable[[], object]) -> None:
        start = time.perf_counter()
        run()
        rates[act] = objects / (time.perf_counter() - start)

    try:
        time_act("put", lambda: _each(threads, lambda key: store.put(key, body), keys))
        time_act("stat", lambda: _each(threads, store.stat, keys))
        time_act("get", lambda: _each(threads, store.get, keys))
        time_act("list", lambda: [*store.list(prefix)])
    finally:
        time_act("delete", lambda: store.delete(keys))
    return Row(name, threads, rates)


def format_row(row: Row) -> str:
    """One line."""
    return f"{row.store:10s} {row.threads:3d} threads  " + "  ".join(
        f"{act} {n:7.0f}/s" for act, n in row.rates.items()
    )


def _each(threads: int, act: Callable[[str], object], keys: Sequence[str]) -> None:
    with open_pool(threads) as pool:
        for _ in map_in_order(pool, act, keys, ahead=2 * threads):
            pass


def _open_stores(url: str | None) -> Iterator[tuple[str, ObjectStore]]:
    if url:
        keys = [os.environ.get(f"ITRP_OBJECT_STORE_{which}_KEY") for which in ("ACCESS", "SECRET")]
        yield "given", open_store(url, *keys)
        return
    for start in (start_seaweedfs, _start_juicefs):
        with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as (name, store):
            yield name, store


@contextmanager
def start_seaweedfs(folder: Path) -> Iterator[tuple[str, ObjectStore]]:
    """SeaweedFS on this machine while the block lasts: (its name, a store)."""
    ports = choose_ports()
    identity = Identity(
        "benchmark", "benchmark-access", "benchmark-secret", ["Admin", "Read", "Write", "List", "Tagging"]
    )
    service = make_seaweedfs(folder, ports, [identity], [BUCKET], folder / "weed.log")
    service.start()
    try:
        url = f"s3://{BUCKET}?endpoint=http://127.0.0.1:{ports.objects}"
        yield "SeaweedFS", open_store(url, identity.access_key, identity.secret_key)
    finally:
        service.stop()


@contextmanager
def _start_juicefs(folder: Path) -> Iterator[tuple[str, ObjectStore]]:
    server = JuiceFS(folder)
    server.service.start()
    try:
        yield "JuiceFS", open_store(server.url(), server.access_key, server.secret_key)
    finally:
        server.service.stop()


if __name__ == "__main__":
    main()
