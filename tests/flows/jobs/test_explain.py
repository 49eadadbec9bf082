"""From a tweet's label back to the models, the data they learned from, and the object it came in."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from flows.jobs.datasets import find_data
from flows.jobs.explain import describe_tweet, explain_tweet
from flows.jobs.ingestion import ingest_landing
from infra.catalog.annotations import NewAnnotation, record_annotations
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


def test_it_is_told_in_words_before_any_hash(scoring: "Platform", built: Any) -> None:
    line = first_lines(built, "batch-0002")[3]
    scorer = pin_scorer(scoring)
    for shard in find_work(scoring.catalog, scorer.pair, backfill=False):
        scorer.score(shard, "score-1")
    with scoring.catalog.session() as session:
        (origin,) = find_tweet(session, line["id"])
        said = {"dataset_id": origin.dataset.id, "tweet_id": line["id"], "task": "image", "guideline": "2026-11"}
        record_annotations(
            session,
            [
                NewAnnotation(**said, kind="label", value=1, person="ada", queue="random", token="1", seconds=3.2),
                NewAnnotation(**said, kind="label", value=0, person="bo", queue="browse", token="2", note="no\nnews"),
                NewAnnotation(**said, kind="decision", value=1, person="cy", queue="disagree", token="3"),
            ],
        )
    report = explain_tweet(scoring, line["id"])
    (stored,) = report["stored"]
    assert stored["text"] == line["text"]
    assert [each["person"] for each in stored["human"]["history"]] == ["ada", "bo", "cy"]
    told, verbose = describe_tweet(report), describe_tweet(report, verbose=True)
    first, *rest = told.splitlines()
    assert first == line["text"]
    assert rest[1].startswith(f"tweet {line['id']} of ")
    assert rest[2].startswith("picture: ")
    assert ", row 3 of shards/" in rest[2]
    assert rest[3].startswith("came in landing/batch-0002/tweets.jsonl, line 4, ingested ")
    label = stored["labels"][0]
    assert f"  {label['relation']}: " in told
    assert "by itrp-text-task/2 and itrp-image-task/2, scored " in told
    assert "  image adds (decided)" in told
    assert "ada says image adds (queue random, in 3 s)" in told
    assert "bo says image does not add (queue browse): no news" in told
    assert "cy decided image adds (queue disagree)" in told
    hashes = (origin.landing_object.etag, stored["image_sha256"], origin.shard.key, label["models"][0]["dataset_hash"])
    assert [each in told for each in hashes] == [False] * 4
    assert [each in verbose for each in hashes] == [True] * 4


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
