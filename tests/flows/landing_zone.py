"""A landing zone to ingest from: a store and a catalog in a folder, and what a collector puts there."""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import select

from flows.jobs.ingestion import IngestReport, ingest_landing, replay_quarantine
from infra.catalog.database import Catalog
from infra.catalog.queries import list_shards
from infra.object_store import ObjectStore
from itrp.data.shards import read_shard

FOLDER = "landing/day/"


def encode(image: Image.Image, format_: str = "JPEG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format_, **options)
    return sink.getvalue()


def draw(seed: int = 0, width: int = 24, height: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


GOOD = encode(draw())


@dataclass
class Zone:
    """A store and a catalog in a folder."""

    store: ObjectStore
    catalog: Catalog

    def drop(self, name: str, *records: dict[str, Any] | bytes, images: dict[str, bytes] | None = None) -> str:
        """Put pictures, then the batch file, as a collector does."""
        for image, data in (images or {}).items():
            self.store.put(FOLDER + image, data)
        lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        self.store.put(FOLDER + name, b"".join(line + b"\n" for line in lines))
        return FOLDER + name

    def ingest(self, **options: Any) -> IngestReport:
        return ingest_landing(self.store, self.catalog, **options)

    def replay(self) -> IngestReport:
        return replay_quarantine(self.store, self.catalog)

    def shards(self) -> list[tuple[int, str, int]]:
        with self.catalog.session() as session:
            return [(shard.position, shard.hash, shard.pairs) for shard in list_shards(session, "landing")]

    def rows(self, table: Any) -> list[Any]:
        with self.catalog.session() as session:
            return [*session.scalars(select(table))]

    def stored_ids(self) -> list[str]:
        ids: list[str] = []
        with self.catalog.session() as session:
            for shard in list_shards(session, "landing"):
                ids += read_shard(self.store.get(shard.key), ["id"]).column("id").to_pylist()
        return ids


def tweet(id_: object, image: str = "good.jpg", text: object = "words", **more: object) -> dict[str, Any]:
    return {"id": id_, "text": text, "image": image, **more}
