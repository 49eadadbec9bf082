"""Several ingestions of one landing zone at once, into SQLite and into a real PostgreSQL: none is lost, none ends in an error."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from sqlalchemy import func, select

from flows.jobs.ingestion import IngestReport, ingest_landing
from infra.catalog.database import Catalog
from infra.catalog.queries import count_quarantined, list_shards
from infra.catalog.tables import LandingObject, StoredTweet
from infra.object_store import open_store

BATCHES, TWEETS, RUNS = 24, 10, 3


def fill(folder: Path) -> str:
    """The address of a store with batches of tweets, each with one line that is refused."""
    landing = folder / "objects/landing"
    landing.mkdir(parents=True)
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(sink, "PNG")
    (landing / "p.png").write_bytes(sink.getvalue())
    for batch in range(BATCHES):
        numbers = range(TWEETS * batch, TWEETS * (batch + 1))
        lines = [json.dumps({"id": f"t{n}", "text": f"words {n}", "image": "p.png"}) for n in numbers]
        (landing / f"{batch:02d}.jsonl").write_text("\n".join([*lines, "bad"]))
    return (folder / "objects").as_uri()


def test_ingestions_at_once_share_the_work(catalog: Catalog, tmp_path: Path) -> None:
    url = fill(tmp_path)
    barrier = threading.Barrier(RUNS)

    def ingest(_: int) -> IngestReport:
        barrier.wait()
        return ingest_landing(open_store(url), catalog, shard_size=25)

    with ThreadPoolExecutor(RUNS) as pool:
        reports = [*pool.map(ingest, range(RUNS))]
    assert sum(report.pairs for report in reports) == BATCHES * TWEETS
    assert sum(report.quarantined for report in reports) == BATCHES
    assert sum(report.lines for report in reports) == BATCHES * (TWEETS + 1)
    with catalog.session() as session:
        assert session.scalar(select(func.count()).select_from(StoredTweet)) == BATCHES * TWEETS
        assert session.scalar(select(func.count(LandingObject.id))) == BATCHES
        assert count_quarantined(session) == BATCHES
        shards = list_shards(session, "landing")
    assert [shard.position for shard in shards] == [*range(len(shards))]
    assert sum(shard.pairs for shard in shards) == BATCHES * TWEETS
    assert sum(report.shards for report in reports) == len(shards)
