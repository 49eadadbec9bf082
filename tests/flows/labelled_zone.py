"""Tweets in a landing zone with label files that a test has written itself: no model is trained for them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.jobs.ingestion import ingest_landing
from flows.platform import Platform, open_platform
from infra.catalog.annotations import AnnotationFilter, NewAnnotation, record_annotations
from infra.catalog.queries import get_dataset, list_shards, record_label_file
from infra.catalog.tables import LabelFile, Shard
from infra.settings import Settings
from itrp.data.shards import read_shard
from itrp.labels import GUIDELINE_VERSION
from serving.labels import SetAsideRow, build_labels, count_relations, encode_labels, label_key
from tests.flows.landing_zone import draw, encode

SHARD = 4
FIRST_ID = 1294000000000000100


@dataclass
class LabelledZone:
    """A platform whose landing data set holds some tweets."""

    platform: Platform
    ids: list[str]
    dataset_id: int

    def shards(self) -> list[Shard]:
        with self.platform.catalog.session() as session:
            return list_shards(session, "landing")

    def label(
        self,
        chances: dict[str, tuple[float, float]],
        *,
        text: str = "2",
        image: str = "3",
        aside: Sequence[str] = (),
        run: str | None = None,
    ) -> list[LabelFile]:
        """Write label files with (text represented, image adds) chances by tweet id, 0.9 and 0.2 for the others."""
        files = []
        for shard in self.shards():
            ids = read_shard(self.platform.store.get(shard.key), ["id"]).column("id").to_pylist()
            kept = [tweet_id for tweet_id in ids if tweet_id not in aside]
            found = np.array([chances.get(tweet_id, (0.9, 0.2)) for tweet_id in kept])
            either = [np.stack([1 - found[:, place], found[:, place]], axis=1) for place in (0, 1)]
            lost = [
                SetAsideRow(ids.index(each), each, "image_damaged", "expected an image")
                for each in aside
                if each in ids
            ]
            versions = {"text_version": text, "image_version": image}
            table = build_labels(kept, *either, shard=shard.hash, set_aside=lost, **versions)
            key, data = label_key(shard.hash, text, image), encode_labels(table)
            self.platform.store.put_if_absent(key, data)
            with self.platform.catalog.session() as session:
                row = record_label_file(
                    session, shard_id=shard.id, key=key, sha256="0" * 64, pairs=len(kept), counts=count_relations(table),
                    set_aside=[vars_of(each) for each in lost], flow_run_id=run, **versions,
                )  # fmt: skip
                files.append(row)
        return files

    def say(self, tweet_id: str, text: int | None, image: int | None, person: str = "ada", **more: Any) -> None:
        """A person's labels of a tweet, of the random queue unless told otherwise; None for no answer."""
        given = {"kind": "label", "queue": "random", "guideline": GUIDELINE_VERSION, **more}
        rows = [
            NewAnnotation(
                dataset_id=self.dataset_id, tweet_id=tweet_id, task=task, value=value, person=person,
                token=given.pop("token", None) or f"{tweet_id}-{person}-{task}-{value}-{given['kind']}", **given,
            )
            for task, value in (("text", text), ("image", image))
            if value is not None
        ]  # fmt: skip
        with self.platform.catalog.session() as session:
            record_annotations(session, rows)

    def asked(self) -> AnnotationFilter:
        return AnnotationFilter(dataset_id=self.dataset_id)


def vars_of(row: SetAsideRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def open_zone(folder: Path, texts: Sequence[str], *, width: int = 24) -> LabelledZone:
    """Tweets with these texts and pictures of their own, a day apart, the last one without a time; shards of four."""
    platform = open_platform(Settings(work_dir=folder, device="cpu"))
    ids = [str(FIRST_ID + number) for number in range(len(texts))]
    lines = []
    for number, (tweet_id, text) in enumerate(zip(ids, texts, strict=True)):
        platform.store.put(f"landing/day/{tweet_id}.jpg", encode(draw(number, width)))
        when = {"created_at": f"2026-11-{1 + number % 28:02d}T12:00:00Z"} if number < len(texts) - 1 else {}
        lines.append(json.dumps({"id": tweet_id, "text": text, "image": f"{tweet_id}.jpg", "lang": "en", **when}))
    platform.store.put("landing/day/tweets.jsonl", "".join(f"{line}\n" for line in lines).encode())
    ingest_landing(platform.store, platform.catalog, shard_size=SHARD)
    with platform.catalog.session() as session:
        dataset = get_dataset(session, "landing")
    assert dataset is not None
    return LabelledZone(platform, ids, dataset.id)
