"""The whole chain on real tweets, where they lie beside the checkout (../shared/data). Their sentences are never printed."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flows.platform import Platform

DATA = Path(__file__).parents[2] / "shared" / "data"
SUBSET = ["pairs=300", "subset_size=150", "image.size=96"]
"""Two rounds of 150 pairs on small pictures keep this under five minutes on two cores."""
LINES_A_BATCH = 250

pytestmark = [
    pytest.mark.real,
    pytest.mark.e2e,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real tweets in ../shared/data beside the checkout"),
]


def drop_news_tweets(platform: "Platform", folder: Path) -> list[str]:
    """tweets.csv (id, image, text; several texts share a picture) as landing batches, the JSONL files last. Returns ids."""
    with (folder / "tweets.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in sorted({row["image"] for row in rows}):
        platform.store.put(f"landing/news/{name}", folder / name)
    for start in range(0, len(rows), LINES_A_BATCH):
        batch = rows[start : start + LINES_A_BATCH]
        lines = [json.dumps({"id": row["id"], "text": row["text"], "image": row["image"]}) + "\n" for row in batch]
        platform.store.put(f"landing/news/batch-{start:05d}.jsonl", "".join(lines).encode())
    return [row["id"] for row in rows]


def count_labels(platform: "Platform") -> Counter[str]:
    """How many labels every tweet has, over all label files."""
    from serving.labels import decode_labels

    found: Counter[str] = Counter()
    for info in platform.store.list("labels/"):
        found.update(decode_labels(platform.store.get(info.key)).column("id").to_pylist())
    return found


def count_stored(platform: "Platform") -> Counter[str]:
    from infra.catalog.queries import list_shards
    from itrp.data.shards import read_shard

    found: Counter[str] = Counter()
    with platform.catalog.session() as session:
        for shard in list_shards(session, "landing"):
            found.update(read_shard(platform.store.get(shard.key), ["id"]).column("id").to_pylist())
    return found


def test_real_tweets_from_files_to_labels(tmp_path: Path) -> None:
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.explain import explain_tweet
    from flows.jobs.ingestion import ingest_folder, ingest_landing
    from flows.jobs.promotion import run_promotion
    from flows.jobs.training import run_training
    from flows.platform import open_platform
    from infra.settings import Settings
    from itrp.datasets.itr import ItrFolder
    from itrp.datasets.synthetic import write_itr_layout
    from itrp.datasets.twitter100k import Twitter100kFolder
    from itrp.labels import Task
    from tests.scoring import find_work, pin_scorer

    platform = open_platform(Settings(work_dir=tmp_path / "work", device="cpu"))

    report = ingest_folder(platform.store, platform.catalog, "twitter", Twitter100kFolder(DATA / "twitter100k_layout"))
    assert report.lines == 1500
    assert report.lines == report.pairs + report.duplicates + report.quarantined
    assert report.pairs >= 1400

    ids = drop_news_tweets(platform, DATA / "news_tweets")
    landed = ingest_landing(platform.store, platform.catalog, flow_run_id="ingest-news")
    assert landed.lines == len(ids) == 1285
    assert landed.lines == landed.pairs + landed.duplicates + landed.quarantined
    assert landed.pairs >= 1200
    assert ingest_landing(platform.store, platform.catalog).lines == 0

    drawn = write_itr_layout(tmp_path / "labelled", 100, 5)
    ingest_folder(platform.store, platform.catalog, "labelled", ItrFolder(drawn / "labels.csv", drawn, None, None))
    for task in (Task.TEXT, Task.IMAGE):
        trained = run_training(platform, f"small-{task}", "twitter", SUBSET)
        assert (trained.version, trained.rounds) == ("1", 2)
        evaluated = run_evaluation(platform, [f"{trained.model}@challenger"], "labelled")
        assert evaluated.models == [f"{trained.model}/2"]
        assert run_promotion(platform, task, to="2").promoted

    scorer = pin_scorer(platform)
    for shard in find_work(platform.catalog, scorer.pair, backfill=False):
        scorer.score(shard, "score-news")
    stored = count_stored(platform)
    assert count_labels(platform) == stored
    assert set(stored.values()) == {1}
    assert len(stored) == landed.pairs
    assert stored.keys() <= set(ids)
    assert find_work(platform.catalog, scorer.pair, backfill=True) == []

    (found,) = explain_tweet(platform, next(iter(stored)))["stored"]
    assert found["landing_object"]["key"].startswith("landing/news/batch-")
    assert found["landing_object"]["flow_run"] == "ingest-news"
    (label,) = found["labels"]
    assert label["flow_run"] == "score-news"
    assert [model["dataset"] for model in label["models"]] == ["twitter", "twitter"]


def test_photographs_with_captions_from_folders_to_their_ratings(tmp_path: Path) -> None:
    """Without a label, an alignment tells what people rate high, and matched margins do not hide the relation from it."""
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.ingestion import ingest_folder
    from flows.jobs.training import run_training
    from flows.platform import open_platform
    from infra.settings import Settings
    from itrp.datasets.captions_match import MatchedCaptions
    from itrp.datasets.rated_captions import RatedCaptions
    from itrp.datasets.twitter100k import Twitter100kFolder

    platform = open_platform(Settings(work_dir=tmp_path / "work", device="cpu"))
    unlabelled = Twitter100kFolder(DATA / "captions_unlabelled")
    stored = {
        "photos": ingest_folder(platform.store, platform.catalog, "photos", unlabelled),
        "rated": ingest_folder(platform.store, platform.catalog, "rated", RatedCaptions(DATA / "captions_rated")),
        "match": ingest_folder(platform.store, platform.catalog, "match", MatchedCaptions(DATA / "captions_match")),
    }
    assert {name: (report.pairs, report.quarantined) for name, report in stored.items()} == {
        "photos": (2000, 0), "rated": (2961, 0), "match": (800, 0),
    }  # fmt: skip
    assert len(stored["match"].notes) == 2

    trained = run_training(platform, "small-aligned", "photos", ["image.size=128"])
    rated, match = (run_evaluation(platform, [f"{trained.model}@challenger"], name) for name in ("rated", "match"))
    area, correlation = rated.rankings
    assert area["value"] >= 0.75
    assert correlation["value"] >= 0.5
    (area,) = match.rankings
    assert area["value"] >= 0.85
    assert max(row["f1"] for row in match.rows[1:]) < 0.56, "what clusters the margins finds nothing"
