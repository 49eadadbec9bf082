"""What a pair costs, measured on this machine through the platform's own code: requests, bytes, seconds of a core, rows."""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import insert, text
from urllib3 import PoolManager

from flows.jobs.ingestion import ingest_landing
from infra.catalog.database import Catalog
from infra.catalog.queries import get_or_create_dataset, list_shards
from infra.catalog.tables import LabelFile, LandingObject, Shard, StoredTweet
from infra.object_store import ObjectStore
from infra.parallel import map_in_order, open_pool
from itrp.data.inputs import iter_pixels
from itrp.experiments import small_image, small_text
from itrp.labels import Task
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat
from serving.files import local_shards
from serving.registry import MODEL_NAMES, ModelPair, ModelVersion, Registry
from serving.scorer import BatchScorer

SMALL_ROWS = 5000
PIXELS = PixelFormat(224)
"""Size pictures are decoded to."""


@dataclass
class Rates:
    """Per pair unless a name says otherwise; seconds are of one core (user and system time of this process, all threads)."""

    pairs: int = 0
    batch: int = 0
    """Pairs a landing batch file."""
    shard: float = 0
    """Pairs a shard file, part-filled ones counted."""
    landing_bytes: float = 0
    shard_bytes: float = 0
    label_bytes: float = 0
    ingest_seconds: float = 0
    ingest_wall: float = 0
    decode_seconds: float = 0
    score_seconds: float = 0
    """Both models on the CPU, reading and decoding included."""
    list_seconds: float = 0
    """Wall clock, of a listing's page of 1,000 keys."""
    ingest_requests: Counter[str] = field(default_factory=Counter)
    """Of the whole sample, by kind."""
    score_requests: Counter[str] = field(default_factory=Counter)
    row_bytes: dict[str, float] = field(default_factory=dict)
    """Of a row with its indexes, by table."""
    insert_seconds: float = 0
    """Wall clock, of a row of stored_tweet in transactions of a group's size."""
    database: str = ""


@contextmanager
def count_requests(counts: Counter[str]) -> Iterator[None]:
    """Count what goes over HTTP to the object store inside the block; listings apart from reads."""
    send = PoolManager.urlopen

    def urlopen(pool: PoolManager, method: str, url: str, *more: Any, **named: Any) -> Any:
        listing = method == "GET" and "list-type" in parse_qs(urlsplit(url).query)
        counts["LIST" if listing else method] += 1
        return send(pool, method, url, *more, **named)

    PoolManager.urlopen = urlopen  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PoolManager.urlopen = send  # type: ignore[method-assign]


@contextmanager
def time_core(told: Callable[[float, float], None]) -> Iterator[None]:
    """Tell (seconds of a core, seconds on the wall) of the block."""
    core, wall = time.process_time(), time.perf_counter()
    yield
    told(time.process_time() - core, time.perf_counter() - wall)


def land(store: ObjectStore, tweets: Sequence[tuple[str, bytes]], pairs: int, batch: int) -> float:
    """Put so many tweets (text, JPEG) into the landing zone, over and over with new ids; bytes a pair."""
    written = 0
    for start in range(0, pairs, batch):
        folder = f"landing/2026-11-25/{start:08d}"
        lines: list[str] = []
        images: list[tuple[str, bytes]] = []
        for number in range(start, min(pairs, start + batch)):
            words, image = tweets[number % len(tweets)]
            record = {"id": _number(number), "text": words, "image": f"{number}.jpg"}
            images.append((f"{folder}/{number}.jpg", image))
            lines.append(json.dumps(record))
            written += len(image)
        with open_pool(8) as pool:
            deque(map_in_order(pool, lambda pair: store.put(*pair), images), maxlen=0)
        data = ("\n".join(lines) + "\n").encode()
        store.put(f"{folder}/tweets.jsonl", data)
        written += len(data)
    return written / pairs


def measure_ingestion(rates: Rates, store: ObjectStore, catalog: Catalog) -> list[Shard]:
    """Ingest what has landed; the shards."""

    def tell(core: float, wall: float) -> None:
        rates.ingest_seconds, rates.ingest_wall = core / rates.pairs, wall / rates.pairs

    with count_requests(rates.ingest_requests), time_core(tell):
        report = ingest_landing(store, catalog)
    if report.pairs != rates.pairs:
        raise SystemExit(f"expected {rates.pairs} pairs stored, found {report.pairs}; refused: {report.by_code}")
    with catalog.session() as session:
        shards = list_shards(session, "landing")
    rates.shard = rates.pairs / len(shards)
    rates.shard_bytes = sum(shard.size for shard in shards) / rates.pairs
    start = time.perf_counter()
    keys = sum(1 for _ in store.list("landing/"))
    rates.list_seconds = (time.perf_counter() - start) / keys * 1000
    return shards


def measure_scoring(rates: Rates, store: ObjectStore, catalog: Catalog, shards: Sequence[Shard], work: Path) -> None:
    """Label the first shards with untrained small models, from the object store and on the CPU."""
    scorer = BatchScorer(store, catalog, *_make_models(work), cache=work / "cache", device="cpu")
    if len(shards) < 2:
        raise SystemExit(
            f"expected at least two shards to measure scoring with, found {len(shards)}: take more --pairs"
        )
    scorer.score(shards[-1])  # the models are loaded now
    chosen = shards[:-1]
    pairs = sum(shard.pairs for shard in chosen)

    def tell(core: float, wall: float) -> None:
        rates.score_seconds = core / pairs

    with count_requests(rates.score_requests), time_core(tell):
        rows = [scorer.score(shard) for shard in chosen]
    # of the whole sample, as the ingestion's
    rates.score_requests = Counter(
        {kind: round(n * len(shards) / len(chosen)) for kind, n in rates.score_requests.items()}
    )
    rates.label_bytes = sum(len(store.get(row.key)) for row in rows) / pairs

    def tell_decoding(core: float, wall: float) -> None:
        rates.decode_seconds = core / pairs

    files = local_shards(store, chosen, work / "cache")
    with time_core(tell_decoding):
        for file in files:
            for _ in iter_pixels(file, PIXELS):
                pass


def _make_models(work: Path) -> tuple[Registry, ModelPair]:
    """Untrained models where a registry would have put them; nobody is asked for them."""
    registry = Registry(f"sqlite:///{work}/none.db", work / "models")
    versions = {}
    for task, config in ((Task.TEXT, small_text()), (Task.IMAGE, small_image())):
        version = ModelVersion(MODEL_NAMES[task], "1", task, "none", "none", (0, 1), {})
        folder = registry.folder_of(version)
        if not folder.exists():
            build_model(config).save(folder, mapping=(0, 1))
        versions[task] = version
    return registry, ModelPair(versions[Task.TEXT], versions[Task.IMAGE])


def measure_catalog(rates: Rates, catalog: Catalog, rows: int) -> None:
    """Bytes a row of each table that grows with the tweets, in an empty catalog filled with so many of stored_tweet."""
    shard, batch = max(1, round(rates.shard)), rates.batch
    # of the small tables enough that half-empty pages do not count
    few = max(rows // min(shard, batch) + 1, SMALL_ROWS)
    counts = {"stored_tweet": rows, "shard": few, "landing_object": few, "label_file": few}
    with catalog.session() as session:
        dataset = get_or_create_dataset(session, "landing", "landing").id
    before = {name: _size(catalog, name) for name in counts}
    _fill_small_tables(catalog, dataset, few)
    start = time.perf_counter()
    for first in range(0, rows, shard):
        _insert_tweets(catalog, dataset, range(first, min(rows, first + shard)), shard, batch)
    rates.insert_seconds = (time.perf_counter() - start) / rows
    rates.row_bytes = {name: (_size(catalog, name) - before[name]) / count for name, count in counts.items()}
    with catalog.connect() as connection:
        rates.database = connection.dialect.name


def _fill_small_tables(catalog: Catalog, dataset: int, count: int) -> None:
    run = {"flow_run_id": "0" * 36}
    with catalog.session() as session:
        session.execute(insert(Shard), [_shard_row(dataset, n) | run for n in range(count)])
        session.execute(insert(LandingObject), [_landing_row(dataset, n) | run for n in range(count)])
        session.execute(insert(LabelFile), [_label_row(n) | run for n in range(count)])


def _shard_row(dataset: int, n: int) -> dict[str, Any]:
    name = _digest()
    place = {"id": n + 1, "dataset_id": dataset, "position": n}
    return {**place, "hash": name, "key": f"shards/{name[:2]}/{name}.parquet", "pairs": 2000, "size": 1}


def _landing_row(dataset: int, n: int) -> dict[str, Any]:
    place = {"id": n + 1, "dataset_id": dataset, "key": f"landing/2026-11-25/{n:08d}/tweets.jsonl"}
    return {**place, "etag": _digest()[:32], "lines": 1000, "pairs": 1000, "duplicates": 0, "quarantined": 0}


def _label_row(n: int) -> dict[str, Any]:
    versions = {"text_version": "12", "image_version": "12"}
    counts = {"00": 500, "01": 500, "10": 500, "11": 500}
    key = f"labels/text-12_image-12/{_digest()}.parquet"
    return {"shard_id": n + 1, **versions, "key": key, "sha256": _digest(), "pairs": 2000, "counts": counts}


def _insert_tweets(catalog: Catalog, dataset: int, numbers: range, shard: int, batch: int) -> None:
    def row(n: int) -> dict[str, Any]:
        place = {
            "shard_id": n // shard + 1,
            "row": n % shard,
            "landing_object_id": n // batch + 1,
            "line": n % batch + 1,
        }
        return {"dataset_id": dataset, "tweet_id": _number(n), "content_sha256": _digest(), **place}

    with catalog.session() as session:
        session.execute(insert(StoredTweet), [row(n) for n in numbers])


def _digest() -> str:
    return os.urandom(32).hex()


def _number(n: int) -> str:
    """X's numbers have 19 digits and grow with time."""
    return str(1_990_000_000_000_000_000 + n * 4_194_304)


def _size(catalog: Catalog, table: str) -> int:
    """Bytes of a table with its indexes."""
    with catalog.connect() as connection:
        if connection.dialect.name == "postgresql":
            return int(connection.scalar(text(f"SELECT pg_total_relation_size('{table}')")) or 0)
        pages = text(
            "SELECT SUM(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = :table)"
        )
        return int(connection.scalar(pages, {"table": table}) or 0)
