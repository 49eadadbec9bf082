"""What a day of many tweets needs, from rates measured on this machine through the platform's own code.

    python -m tests.benchmarks.scaling                                       # synthetic pictures
    python -m tests.benchmarks.scaling --pictures TWITTER100K_LAYOUT         # text.txt and images/ of real tweets
    python -m tests.benchmarks.scaling --picture-bytes 100000 --gpu-rate 4000

The object store is a SeaweedFS and the catalog a PostgreSQL, both started here (SQLite where there is no PostgreSQL);
requests are counted on the wire. What only a GPU can tell is given as an argument and marked `assumed` in the table.
"""

import argparse
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from infra.catalog.database import Catalog, open_catalog
from infra.errors import StackError
from infra.object_store import ObjectStore, open_store
from infra.stack.postgres import create_databases, make_postgres
from infra.stack.seaweedfs import Identity, make_seaweedfs
from itrp.datasets.synthetic import generate_tweets
from tests.benchmarks.scaling_demand import Assumptions, compute_demand
from tests.benchmarks.scaling_rates import Rates, land, measure_catalog, measure_ingestion, measure_scoring
from tests.ports import choose_ports, free_ports

GPU_RATE = 4000.0
"""Pairs a second on one H100, both tasks, BERT-base and ResNet-101: the target of issue 5, whose arithmetic floor is 19,800."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    args = _parse(arguments)
    rates = measure(args.pairs, args.batch, args.shard_rows, args.pictures)
    print(format_rates(rates))
    assumed = Assumptions(args.day, args.gpu_rate, args.busy, args.runs, args.retention, args.picture_bytes)
    print(f"\n{args.day:,} tweets a day\n")
    print("| what | a day | formula | from |\n|---|---|---|---|")
    for row in compute_demand(rates, assumed):
        print(f"| {row.what} | {row.value} | {row.formula} | {row.source} |")


def measure(pairs: int, batch: int, rows: int, images: str | None) -> Rates:
    """Everything there is to measure, on servers that are started for it."""
    tweets = _read_tweets(images)
    rates = Rates(pairs=pairs, batch=batch)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.chmod(0o755)  # where root measures, PostgreSQL is another user
        store = stack.enter_context(_start_store(work))
        first, second = stack.enter_context(_start_catalogs(work))
        rates.landing_bytes = land(store, tweets, pairs, batch)
        shards = measure_ingestion(rates, store, first)
        measure_scoring(rates, store, first, shards, work)
        measure_catalog(rates, second, rows)
    return rates


def format_rates(rates: Rates) -> str:
    """What was measured, a line each."""
    requests = {"ingest": rates.ingest_requests, "score": rates.score_requests}
    lines = [
        f"{os.cpu_count()} cores; {rates.pairs} pairs in batches of {rates.batch}; {rates.database}",
        f"landing {rates.landing_bytes:,.0f} bytes a pair, shard {rates.shard_bytes:,.0f}, labels {rates.label_bytes:.1f}",
        f"{rates.shard:,.0f} pairs a shard",
        f"ingest {1 / rates.ingest_seconds:,.0f} pairs/s a core, {1 / rates.ingest_wall:,.0f} pairs/s on the wall",
        f"decode {1 / rates.decode_seconds:,.0f} pairs/s a core; small models {1 / rates.score_seconds:,.1f} pairs/s a core",
        f"listing {rates.list_seconds * 1000:.0f} ms a page of 1,000 keys; rows {1 / rates.insert_seconds:,.0f} a second",
        *(f"{phase} requests a pair: {_per_pair(counts, rates.pairs)}" for phase, counts in requests.items()),
        f"bytes a row with indexes: {', '.join(f'{name} {size:.0f}' for name, size in rates.row_bytes.items())}",
    ]
    return "\n".join(lines)


def _per_pair(counts: dict[str, int], pairs: int) -> str:
    return ", ".join(f"{kind} {count / pairs:.4f}" for kind, count in sorted(counts.items()))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=int, default=100_000_000, help="tweets a day (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=6000, help="pairs to measure with (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1000, help="pairs a landing batch file (default: %(default)s)")
    parser.add_argument("--shard-rows", type=int, default=200_000, help="rows to fill the catalog with")
    parser.add_argument("--pictures", metavar="DIR", help="real tweets in Twitter100k's layout; synthetic without it")
    parser.add_argument(
        "--picture-bytes", type=float, help="assume pictures of so many bytes instead of those measured"
    )
    parser.add_argument(
        "--gpu-rate", type=float, default=GPU_RATE, help="pairs/s of one GPU, assumed (default: %(default)s)"
    )
    parser.add_argument(
        "--busy", type=float, default=0.7, help="share of the time machines work (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=96, help="ingest runs a day (default: %(default)s)")
    parser.add_argument(
        "--retention", type=float, default=1.0, help="days landing objects are kept (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def _read_tweets(images: str | None) -> list[tuple[str, bytes]]:
    """(text, JPEG) of real tweets, or of 500 synthetic ones."""
    if images:
        folder = Path(images)
        texts = (folder / "text.txt").read_text().splitlines()
        names = [folder / "images" / f"{number}.jpg" for number in range(1, len(texts) + 1)]
        return [(words, name.read_bytes()) for words, name in zip(texts, names, strict=True) if words.strip()]
    return [(tweet.text, tweet.image) for tweet in islice(generate_tweets(500, 1, jpeg_only=True), 500)]


@contextmanager
def _start_store(work: Path) -> Iterator[ObjectStore]:
    ports = choose_ports()
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = Identity("benchmark", "benchmark-access", "benchmark-secret", rights)
    service = make_seaweedfs(work / "weed", ports, [identity], ["tweets"], work / "weed.log")
    service.start()
    try:
        url = f"s3://tweets?endpoint=http://127.0.0.1:{ports.objects}"
        yield open_store(url, identity.access_key, identity.secret_key)
    finally:
        service.stop()


@contextmanager
def _start_catalogs(work: Path) -> Iterator[tuple[Catalog, Catalog]]:
    """One to ingest into and one to fill."""
    (port,), password = free_ports(1), uuid.uuid4().hex
    try:
        service = make_postgres(work / "postgres", port, password, work / "postgres.log")
    except StackError as error:
        print(f"SQLite in place of PostgreSQL: {error}")
        yield open_catalog(f"sqlite:///{work}/first.db"), open_catalog(f"sqlite:///{work}/second.db")
        return
    service.start()
    try:
        create_databases(port, password, {"first": password, "second": password})
        urls = [f"postgresql://{name}:{password}@127.0.0.1:{port}/{name}" for name in ("first", "second")]
        catalogs = [open_catalog(url) for url in urls]
        yield catalogs[0], catalogs[1]
        for catalog in catalogs:
            catalog.dispose()
    finally:
        service.stop()


if __name__ == "__main__":
    main()
