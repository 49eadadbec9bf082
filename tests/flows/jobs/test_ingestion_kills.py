"""Killing an ingestion anywhere and running it again gives what an undisturbed run gives."""

import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from flows.jobs.ingestion import IngestReport, ingest_landing
from infra.catalog.database import open_catalog
from infra.catalog.queries import list_shards
from infra.catalog.tables import LandingObject, QuarantinedTweet, StoredTweet
from infra.object_store import ObjectStore, open_store
from itrp.data.shards import read_shard, shard_hash

TWEETS, BATCHES, SHARD = 1200, 24, 70
RUN = """
import sys
from flows.jobs.ingestion import ingest_landing
from infra.catalog.database import open_catalog
from infra.object_store import ObjectStore, open_store
store, catalog = open_store(sys.argv[1]), open_catalog(sys.argv[2])
print("ready", flush=True)
print(ingest_landing(store, catalog, shard_size=int(sys.argv[3])).lines, flush=True)
"""


def draw(seed: int) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def fill_landing(folder: Path) -> None:
    """24 batches of 50 tweets; every 17th has no picture, every 23rd is a copy of the one before."""
    for batch in range(BATCHES):
        place = folder / f"landing/{batch:02d}"
        place.mkdir(parents=True)
        for number in range(10):
            (place / f"{number}.png").write_bytes(draw(10 * batch + number))
        size = TWEETS // BATCHES
        numbers = [n - (n % 23 == 22) for n in range(batch * size, (batch + 1) * size)]
        lines = [
            {"id": n, "text": f"text {n}", "image": "absent.png" if n % 17 == 16 else f"{n % 10}.png"} for n in numbers
        ]
        (place / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def start(folder: Path) -> subprocess.Popen[str]:
    arguments = [(folder / "objects").as_uri(), f"sqlite:///{folder}/catalog.db", str(SHARD)]
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def describe(folder: Path) -> dict[str, object]:
    """Everything an ingestion leaves but clocks and row numbers."""
    store = open_store((folder / "objects").as_uri())
    catalog = open_catalog(f"sqlite:///{folder}/catalog.db")
    with catalog.session() as session:
        shards = list_shards(session, "landing")
        positions = {shard.id: shard.position for shard in shards}
        keys = {row.id: row.key for row in session.scalars(select(LandingObject))}
        found = {
            "shards": [(shard.position, shard.hash, shard.pairs, shard.size) for shard in shards],
            "tweets": sorted(
                (
                    row.tweet_id,
                    row.content_sha256,
                    positions[row.shard_id],
                    row.row,
                    keys[row.landing_object_id],
                    row.line,
                )
                for row in session.scalars(select(StoredTweet))
            ),
            "objects": sorted(
                (row.key, row.lines, row.pairs, row.duplicates, row.quarantined)
                for row in session.scalars(select(LandingObject))
            ),
            "quarantine": sorted(
                (row.object_key, row.line, row.code) for row in session.scalars(select(QuarantinedTweet))
            ),
        }
        for shard in shards:
            data = store.get(shard.key)
            assert shard_hash(data) == shard.hash
            assert read_shard(data, ["id"]).num_rows == shard.pairs
    catalog.dispose()
    return found


@pytest.mark.e2e
def test_killed_and_run_again_gives_the_same_shards(tmp_path: Path) -> None:
    """Eight kills at random moments while it works, then a run to the end; beside it an undisturbed run."""
    for name in ("undisturbed", "killed"):
        fill_landing(tmp_path / name / "objects")
    process = start(tmp_path / "undisturbed")
    began = time.perf_counter()
    assert process.wait() == 0
    whole = time.perf_counter() - began
    moments = random.Random(7)
    killed = 0
    for _ in range(8):
        process = start(tmp_path / "killed")
        try:
            process.wait(timeout=moments.uniform(0, whole / 4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed >= 5
    process = start(tmp_path / "killed")
    assert process.wait() == 0
    assert describe(tmp_path / "killed") == describe(tmp_path / "undisturbed")


class Stop(BaseException):
    """As sudden as a signal: nothing handles it."""


class StoppingStore:
    """A real store that ends the run instead of writing its n-th shard, counted from 0."""

    def __init__(self, store: ObjectStore, n: int) -> None:
        self._store = store
        self._left = n

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if self._left == 0:
            raise Stop
        self._left -= 1
        return self._store.put_if_absent(key, data)


@pytest.mark.parametrize("n", range(5))
def test_stopped_at_every_write(tmp_path: Path, n: int) -> None:
    """The run is stopped before its n-th shard is written, at each n in turn; then it is run again."""
    for name in ("undisturbed", "stopped"):
        fill_landing_small(tmp_path / name / "objects")
        store = open_store((tmp_path / name / "objects").as_uri())
        catalog = open_catalog(f"sqlite:///{tmp_path}/{name}/catalog.db")
        if name == "stopped":
            with pytest.raises(Stop):
                ingest_landing(StoppingStore(store, n), catalog, shard_size=4)  # type: ignore[arg-type]
        report = ingest_landing(store, catalog, shard_size=4)
        if name == "undisturbed":
            assert report == IngestReport(lines=19, pairs=19, shards=5)
        catalog.dispose()
    assert describe(tmp_path / "stopped") == describe(tmp_path / "undisturbed")


def fill_landing_small(folder: Path) -> None:
    """Objects of 1, 2, 9, 3 and 4 tweets: in shards of 4 the groups are (4, 4, 4) and (4, 3)."""
    (folder / "landing").mkdir(parents=True)
    (folder / "landing/p.png").write_bytes(draw(0))
    first = 0
    for name, count in zip("abcde", (1, 2, 9, 3, 4), strict=True):
        lines = [{"id": n, "text": "t", "image": "p.png"} for n in range(first, first + count)]
        (folder / f"landing/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        first += count
