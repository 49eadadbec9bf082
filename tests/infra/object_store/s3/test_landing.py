"""Ingestion of a landing zone that lies on an S3 server: the same shards as from a folder, on a bad network too."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.jobs.ingestion import IngestReport, ingest_landing
from infra.catalog.database import Catalog, open_catalog
from infra.catalog.queries import list_shards
from infra.catalog.tables import Shard
from infra.object_store import ObjectStore, open_store, s3_client
from serving.files import local_shards
from tests.infra.object_store.s3.juicefs import JuiceFS
from tests.infra.object_store.s3.relay import Relay, http_answer, running

TWEETS = 30
FOLDERS = ("landing/2026-11-19/", "landing/2026-11-20/")


def draw(seed: int) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def drop(store: ObjectStore, folder: str, first: int) -> None:
    """TWEETS tweets as JSON Lines and as many in a response of the X API; of each, the last one's picture is missing."""
    numbers = range(first, first + TWEETS)
    for number in numbers[:-1]:
        store.put(f"{folder}pictures/{number} ü.png", draw(number))
        store.put(f"{folder}m{number}.{'jpg' if number % 2 else 'png'}", draw(-number % 10_000))
    lines = [{"id": str(number), "text": f"words {number}", "image": f"pictures/{number} ü.png"} for number in numbers]
    response = {
        "data": [
            {"id": f"x{number}", "text": f"of X {number}", "attachments": {"media_keys": [f"m{number}"]}}
            for number in numbers
        ],
        "includes": {"media": [{"media_key": f"m{number}", "type": "photo"} for number in numbers]},
    }
    store.put(f"{folder}a.jsonl", "\n".join(map(json.dumps, lines)).encode())
    store.put(f"{folder}b.json", json.dumps(response).encode())


def ingest(store: ObjectStore, catalog: Catalog, **options: Any) -> tuple[IngestReport, list[Shard]]:
    report = ingest_landing(store, catalog, shard_size=20, **options)
    with catalog.session() as session:
        return report, list_shards(session, "landing")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    yield catalog
    catalog.dispose()


@pytest.fixture
def expected(tmp_path: Path) -> list[str]:
    """Hashes of the shards that the same tweets in a folder become."""
    catalog = open_catalog(f"sqlite:///{tmp_path}/expected.db")
    store = open_store((tmp_path / "expected").as_uri())
    for first, folder in enumerate(FOLDERS):
        drop(store, folder, 1000 * first)
    report, shards = ingest(store, catalog)
    assert (report.pairs, report.quarantined) == (4 * (TWEETS - 1), 4)
    catalog.dispose()
    return [shard.hash for shard in shards]


@pytest.fixture
def emptied(any_store: ObjectStore) -> ObjectStore:
    """Either server, with nothing landed."""
    any_store.delete([info.key for info in any_store.list("landing/")])
    return any_store


def test_a_server_gives_the_shards_that_a_folder_gives(
    emptied: ObjectStore, catalog: Catalog, expected: list[str], tmp_path: Path
) -> None:
    for first, folder in enumerate(FOLDERS):
        drop(emptied, folder, 1000 * first)
    _, shards = ingest(emptied, catalog)
    assert [shard.hash for shard in shards] == expected
    files = local_shards(emptied, shards, tmp_path / "cache")
    assert [file.path.read_bytes() for file in files] == [emptied.get(shard.key) for shard in shards]
    assert ingest(emptied, catalog)[0].lines == 0


def test_a_bad_network_changes_nothing(
    any_server: Any, emptied: ObjectStore, catalog: Catalog, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "BACKOFF_SECONDS", 0.01)
    for first, folder in enumerate(FOLDERS):
        drop(emptied, folder, 1000 * first)
    busy = http_answer("503 Slow Down", "SlowDown")

    def reject(number: int, head: bytes) -> bytes | None:
        return busy if number % 4 == 1 else b"" if number % 9 == 2 else None

    with running(Relay(any_server.port, answer=reject)) as relay:
        through = open_store(any_server.url(port=relay.port), any_server.access_key, any_server.secret_key)
        _, shards = ingest(through, catalog)
    assert [shard.hash for shard in shards] == expected
    assert relay.count("GET") > 4 * TWEETS


def test_ingestion_from_a_key_on(emptied: ObjectStore, catalog: Catalog) -> None:
    for first, folder in enumerate(FOLDERS):
        drop(emptied, folder, 1000 * first)
    assert ingest(emptied, catalog, start_after=FOLDERS[1])[0].lines == 2 * TWEETS
    assert ingest(emptied, catalog, start_after=FOLDERS[1])[0].lines == 0
    assert ingest(emptied, catalog)[0].lines == 2 * TWEETS
    with catalog.session() as session:
        assert sum(shard.pairs for shard in list_shards(session, "landing")) == 4 * (TWEETS - 1)


def test_ingestion_of_keys_that_events_told(any_server: Any, emptied: ObjectStore, catalog: Catalog) -> None:
    for first, folder in enumerate(FOLDERS):
        drop(emptied, folder, 1000 * first)
    told = [
        f"{FOLDERS[1]}a.jsonl",
        f"{FOLDERS[1]}gone.jsonl",
        f"{FOLDERS[1]}m1000.png",
        f"{FOLDERS[0]}b.json",
        "a.jsonl",
    ]
    with running(Relay(any_server.port)) as relay:
        through = open_store(any_server.url(port=relay.port), any_server.access_key, any_server.secret_key)
        assert ingest(through, catalog, keys=told * 2)[0].lines == 2 * TWEETS
        assert not [head for head in relay.heads if b"list-type" in head]
    assert ingest(emptied, catalog, keys=told)[0].lines == 0
    assert ingest(emptied, catalog)[0].lines == 2 * TWEETS


def test_killed_in_the_middle_a_server_has_what_it_took(mortal_server: JuiceFS, key: str) -> None:
    store = open_store(mortal_server.url(), mortal_server.access_key, mortal_server.secret_key)
    for number in range(50):
        store.put(f"{key}/{number:02d}", draw(number))
    mortal_server.service.kill()
    mortal_server.service.start()
    assert [store.get(info.key) for info in store.list(key + "/")] == [draw(number) for number in range(50)]
