"""From a tweet's label back to the models, the data they learned from, and the object it came in."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from flows.jobs.datasets import find_data
from flows.jobs.explain import explain_tweet
from flows.jobs.ingestion import ingest_landing
from infra.catalog.queries import find_tweet
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from itrp.labels import RELATIONS
from serving.errors import NotFoundError
from serving.labels import decode_labels
from tests.poison import palette_without_colours, store_shard
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform

PICTURE = next(iter(generate_tweets(1, seed=5))).image


def first_lines(built: Any, batch: str) -> list[dict[str, Any]]:
    path = built.drawn / "new" / batch / "tweets.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_scored_tweet_is_traced_to_its_origin(scoring: "Platform", built: Any) -> None:
    """The fourth line of the second batch, whose place in the platform is known beforehand."""
    tweet_id = first_lines(built, "batch-0002")[3]["id"]
    scorer = pin_scorer(scoring)
    rows = {
        shard.hash: scorer.score(shard, "score-1") for shard in find_work(scoring.catalog, scorer.pair, backfill=False)
    }
    report = explain_tweet(scoring, tweet_id)
    assert (report["id"], report["quarantined"]) == (tweet_id, [])
    (stored,) = report["stored"]

    key = "landing/batch-0002/tweets.jsonl"
    landing = stored["landing_object"]
    assert (landing["key"], landing["line"], landing["flow_run"]) == (key, 4, "ingest-new")
    with scoring.catalog.session() as session:
        (origin,) = find_tweet(session, tweet_id)
    assert landing["etag"] == origin.landing_object.etag
    assert stored["dataset"] == "landing"
    assert stored["shard"] == {"key": origin.shard.key, "row": 3, "flow_run": "ingest-new"}

    (label,) = stored["labels"]
    row = rows[origin.shard.hash]
    in_file = decode_labels(scoring.store.get(row.key)).to_pylist()[3]
    assert in_file["id"] == tweet_id
    assert (label["relation"], label["file"], label["flow_run"]) == (in_file["relation"], row.key, "score-1")
    assert label["text_is_represented_probability"] == in_file["text_is_represented_probability"]
    assert label["scored_at"] == row.scored_at.isoformat()
    data_hash = find_data(scoring.catalog, "unlabelled").hash
    for task, model in zip(("text", "image"), label["models"], strict=True):
        assert model["model"] == f"itrp-{task}-task/2"
        assert model["mlflow_run"] == built.trained[task].run_id
        assert (model["experiment"], model["dataset"]) == (f"small-{task}", "unlabelled")
        assert model["dataset_hash"] == data_hash
        assert model["flow_run"] == f"train-{task}"
        assert model["git_commit"]


def test_a_tweet_that_was_set_aside_tells_why(scoring: "Platform") -> None:
    pairs = [Pair("fine", "words", PICTURE, "a.png"), Pair("poison", "words", palette_without_colours(), "b.png")]
    shard = store_shard(scoring, pairs)
    row = pin_scorer(scoring).score(shard)
    ((stored,), (fine,)) = (explain_tweet(scoring, name)["stored"] for name in ("poison", "fine"))
    (label,) = stored["labels"]
    assert (label["file"], label["models"][0]["model"]) == (row.key, "itrp-text-task/2")
    assert label["set_aside"]["code"].startswith("image_")
    assert label["set_aside"]["reason"].startswith("expected a ")
    assert "relation" not in label
    assert fine["labels"][0]["relation"] in RELATIONS


def test_a_tweet_not_scored_yet_has_no_labels(platform: "Platform", built: Any) -> None:
    report = explain_tweet(platform, first_lines(built, "batch-0001")[0]["id"])
    assert report["stored"][0]["labels"] == []


def test_a_tweet_of_a_folder_is_traced_to_its_line(trained: "Platform") -> None:
    (stored,) = explain_tweet(trained, "7")["stored"]
    assert stored["dataset"] == "unlabelled"
    assert (stored["shard"]["row"], stored["landing_object"]["line"]) == (6, 7)


def test_a_quarantined_tweet_tells_why(platform: "Platform") -> None:
    platform.store.put("landing/late/b.jsonl", b'{"id": "q1", "text": "words", "image": "absent.png"}\n')
    assert ingest_landing(platform.store, platform.catalog).quarantined == 1
    report = explain_tweet(platform, "q1")
    (rejected,) = report["quarantined"]
    assert report["stored"] == []
    assert (rejected["object"], rejected["line"], rejected["code"]) == ("landing/late/b.jsonl", 1, "image_missing")
    assert rejected["reason"]
    assert rejected["resolved_at"] is None


def test_an_unknown_tweet_is_told(trained: "Platform") -> None:
    with pytest.raises(NotFoundError) as caught:
        explain_tweet(trained, "nobody")
    assert str(caught.value) == (
        "no tweet with the id 'nobody' was ever ingested: check the id, or run `itrp ingest landing`"
    )
